"""Recordings of `pytest bench/` as a tidy frame, of which the tables are made as of any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bench.cell import Cell, flatten
from bench.gate.recording import read_recording
from bench.report.frame import tidy
from bench.run.spec import TableSpec

EXPERIMENT = "recorded"


def are_recordings(folder: Path) -> bool:
    return not (folder / "grid.json").exists() and any(folder.glob("*.json"))


def load_recordings(folder: Path) -> pd.DataFrame:
    """The frame of `bench.report.frame.to_frame`: a row for each (process, cell, mode), and one for a cell that failed.

    A process is a replicate and stands in the place of the seed. value: the time as a multiple of the anchor's in the
    same process, see `Recording.ratios`. Raises UserError for a recording that is damaged.
    """
    rows: list[dict[str, Any]] = []
    for process, file in enumerate(sorted(folder.glob("*.json"))):
        recording = read_recording(file)
        for cell_id, document in recording.recorded.cells.items():
            settings = flatten(Cell.from_json(document).to_json()) | {"seed": process}
            known = {"experiment": EXPERIMENT, "tuned": "", "cell": cell_id, "duration": None, "splits": "", **settings}
            if why := recording.recorded.failed.get(cell_id):
                rows.append(known | {"outcome": "failed", "reason": why, "metric": None})
            rows += [
                known
                | {"outcome": "ok", "reason": "", "metric": f"{mode}_time_ratio", "value": ratio}
                | {"unit": "x anchor", "better": "lower", "varies": "machine"}
                for (timed, mode), ratio in recording.ratios().items()
                if timed == cell_id
            ]
    return tidy(rows)


def table_of(frame: pd.DataFrame) -> TableSpec:
    """A table with a row for each layer, and for what else its cells differ in."""
    measured = frame[frame["metric"].notna()]
    settings = [*(key for key in measured if "." in str(key) and not str(key).startswith("layer.")), "model"]
    varied = [str(key) for key in settings if measured[key].astype(str).nunique() > 1]
    columns = [f"{EXPERIMENT}.{metric}" for metric in dict.fromkeys(measured["metric"])]
    return TableSpec(name="times", title="Recorded times", rows=["layer", *varied], columns=columns)
