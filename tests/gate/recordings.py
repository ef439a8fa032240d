"""Recordings as `pytest bench/` writes them, made up: what the tests of the comparison are fed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upbench.cell import Cell, Spec
from upbench.gate.recording import ANCHOR, FORMAT

ENVIRONMENT = {"processor": "a processor", "cores": 2, "gpu": None, "libraries": {"torch": "2.13.0"}}


def cell(layer: str) -> Cell:
    return Cell(Spec("speed"), Spec("single"), Spec(layer), None)


# what the exact figures are like unless a test says otherwise
LIKE = {"unit": "1", "better": "lower", "varies": "never"}
LAYERS = {layer: cell(layer) for layer in ("transposed_conv", "pixel_dcl")}


def write(
    path: Path,
    ratios: Mapping[str, float],
    *,
    exact: Mapping[str, Mapping[str, float]] | None = None,
    environment: Mapping[str, Any] = ENVIRONMENT,
    failed: Mapping[str, str] = {},
    blocks: int = 3,
    like: Mapping[str, Any] = LIKE,
) -> Path:
    """One process: each layer's forward pass takes `ratio` milliseconds where the anchor takes one."""
    timed = [(ANCHOR, 1.0), *((LAYERS[layer].id, ratio) for layer, ratio in ratios.items())]
    document = {
        "upbench": {
            "format": FORMAT,
            "cells": {LAYERS[layer].id: LAYERS[layer].to_json() for layer in ratios},
            "exact": exact
            and {
                LAYERS[layer].id: [{"metric": name, "value": value, **like} for name, value in values.items()]
                for layer, values in exact.items()
            },
            "failed": dict(failed),
            "environment": dict(environment),
        },
        "benchmarks": [
            {
                "extra_info": {"cell": name, "mode": "forward", "block": block},
                "stats": {"data": [1e-3 * ratio, 1e-2 * ratio, 1e-3 * ratio]},
            }
            for block in range(blocks)
            for name, ratio in timed
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def side(folder: Path, ratio: float, *, processes: int = 8, **settings: Any) -> Path:
    """A folder of processes in which pixel_dcl takes about `ratio` times the anchor."""
    for index in range(processes):
        ratios = {"transposed_conv": 1 + 0.001 * index, "pixel_dcl": ratio * (1 + 0.001 * index)}
        write(folder / f"{index}.json", ratios, **settings)
    return folder
