"""Recordings of `pytest bench/` as a tidy frame, of which the tables are made as of any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd

from upbench.cell import Cell, flatten
from upbench.gate.recording import Recording, make_anchor_ratio, read_recording
from upbench.grid.spec import TableSpec
from upbench.report.frame import tidy

EXPERIMENT = "recorded"


def are_recordings(folder: Path) -> bool:
    """Whether a folder holds recordings, and is no results folder."""
    return not (folder / "grid.json").exists() and any(folder.glob("*.json"))


def load_recordings(folder: Path) -> pd.DataFrame:
    """Read recordings into the frame of `upbench.report.frame`.

    The frame has a row for each (process, cell, mode), and one for each process in which a cell failed. A process is a
    replicate and stands in the place of the seed. The value is the time as a multiple of the anchor's in the same
    process, see `Recording.ratios`. Raises UserError for a recording that is damaged.
    """
    rows: list[dict[str, Any]] = []
    for process, file in enumerate(sorted(folder.glob("*.json"))):
        rows += _list_rows(read_recording(file), process)
    return tidy(rows)


def _list_rows(recording: Recording, process: int) -> list[dict[str, Any]]:
    """The rows of one process, cell by cell."""
    ratios = recording.ratios()
    rows: list[dict[str, Any]] = []
    for cell_id, document in recording.recorded.cells.items():
        settings = flatten(Cell.from_json(document).to_json())
        known = settings | {"experiment": EXPERIMENT, "cell": cell_id, "seed": process}
        # what only results folders know
        known |= {"tuned": "", "duration": None, "splits": ""}
        reason = recording.recorded.failed.get(cell_id)
        if reason:
            rows.append(known | {"outcome": "failed", "reason": reason, "metric": None})
        for (timed, mode), ratio in ratios.items():
            if timed != cell_id:
                continue
            figure = make_anchor_ratio(mode, ratio)
            rows.append(known | {"outcome": "ok", "reason": ""} | dataclasses.asdict(figure))
    return rows


def table_of(frame: pd.DataFrame) -> TableSpec:
    """A table with a row for each layer, and for what else its cells differ in."""
    measured = frame[frame["metric"].notna()]
    # a layer's own options are in its label already
    options = [column for column in measured if "." in column and not column.startswith("layer.")]
    rows = ["layer"]
    for setting in [*options, "model"]:
        # as text, since what a cell lacks and what it sets to nothing look alike
        values = measured[setting].astype(str)
        if values.nunique() > 1:
            rows.append(setting)
    metrics = measured["metric"].unique()
    return TableSpec(
        name="times",
        title="Recorded times",
        rows=rows,
        columns=[f"{EXPERIMENT}.{metric}" for metric in metrics],
    )
