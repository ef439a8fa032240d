"""The tidy frame: one row for each (experiment, cell, metric), and one for each cell that has no measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cell import Cell, flatten
from bench.run.grid import Grid
from bench.run.store import Record, Store, read_all

MISSING = "missing"


def load_frame(root: Path) -> pd.DataFrame:
    """`to_frame` of a results folder. Raises UserError if `root` is none or a file in it is damaged."""
    store = Store(root)
    grid = store.read_grid()
    return to_frame(grid, read_all(store, grid))


def to_frame(grid: Grid, records: Mapping[str, Record | None]) -> pd.DataFrame:
    """Columns: experiment, cell, outcome, reason, the flattened settings, metric, value, unit, better, varies, tuned.

    records: by cell id. `layer` is the layer's name and those of its options that differ within the grid:
    "transposed_conv kernel=3". A cell that failed or has no result is one row whose metric is None and value NaN: never
    a gap. So is a cell whose trials have not ended; its tuned settings are None. `tuned` names the settings that trials
    have chosen, with commas. `splits` stands for the data a cell saw, "" where none are known.
    """
    rows = []
    for experiment in grid.experiments:
        known: dict[str, Any] = {"experiment": experiment.name, "tuned": ",".join(experiment.tuned)}
        for cell in experiment.cells:
            rows += _rows(known | {"cell": cell.id}, cell, records.get(cell.id))
        for choice in experiment.choices:
            (row,) = _rows(known | {"cell": choice.id}, choice.candidates[0], None)
            rows.append(row | {"reason": "its trials have not ended"} | dict.fromkeys(experiment.tuned))
    return tidy(rows)


def tidy(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The frame of such rows, whose layers are then labelled with what tells them apart."""
    frame = pd.DataFrame(rows, dtype=object)  # or gaps would turn whole numbers into fractions
    for column in ("value", "unit", "better", "varies"):
        if column not in frame:
            frame[column] = None
    numbers = {column: frame[column].astype(float) for column in ("value", "duration")}
    return frame.assign(**numbers, layer=_layer_labels(frame))


def _rows(known: dict[str, Any], cell: Cell, record: Record | None) -> list[dict[str, Any]]:
    """One a measurement, or one without."""
    known |= {
        "outcome": record.outcome if record else MISSING,
        "reason": record.reason if record else "",
        "duration": record.duration if record else None,
        "splits": _splits(record),
        **flatten(cell.to_json()),
    }
    measured = [measurement.model_dump() for measurement in record.measurements] if record else []
    return [known | measurement for measurement in measured or [{"metric": None}]]


def _splits(record: Record | None) -> str:
    seen = record.raw.get("data") if record else None
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:12] if seen else ""


def _layer_labels(frame: pd.DataFrame) -> pd.Series:
    labels = frame["layer"].copy()
    for _, part in frame.groupby("layer", sort=False):
        options = [key for key in map(str, part) if key.startswith("layer.") and part[key].astype(str).nunique() > 1]
        for key in options:
            labels[part.index] += " " + key.removeprefix("layer.") + "=" + part[key].map(str)
    return labels


def write_frame(frame: pd.DataFrame, root: Path) -> None:
    """frame.parquet and frame.csv: derived, to be deleted at will."""
    plain = frame.copy()
    for column in plain.columns[plain.map(lambda value: isinstance(value, (list, dict))).any()]:
        plain[column] = plain[column].map(str)
    plain = plain.convert_dtypes()
    plain.to_parquet(root / "frame.parquet", index=False)
    plain.to_csv(root / "frame.csv", index=False)
