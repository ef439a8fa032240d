"""What a figure shows of a run: rows of the tidy frame, and the losses and arrays beside its cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report.summary import NOT_SETTINGS, REPLICATES, tuned_keys
from bench.report.tables import scale
from bench.run.spec import FigureSpec
from bench.run.store import Store

Arrays = dict[str, dict[str, NDArray]]  # by layer


class NothingToDraw(Exception):
    """The run does not hold what a figure shows."""


class ArraysMissing(NothingToDraw):
    """Its cells ended, but the arrays they left are not beside them, as in a copy without them."""


def finished(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of an experiment's cells that ended well. Raises NothingToDraw if there is none."""
    part = frame[(frame["experiment"] == name) & (frame["outcome"] == "ok")]
    if part.empty:
        raise NothingToDraw(f"experiment {name!r} has no finished cell to draw")
    return part


def column(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of "experiment.metric", in a unit that brings their median to at least 1. Raises NothingToDraw."""
    experiment, metric = name.split(".", 1)
    part = finished(frame, experiment)
    part = part[part["metric"] == metric]
    if part.empty:
        raise NothingToDraw(f"no cell has {name!r}")
    divisor, unit = scale(part["unit"].iloc[0], part["value"].tolist())
    return part.assign(value=part["value"] / divisor, unit=unit)


def layers_of(*parts: pd.DataFrame) -> list[str]:
    """The layers that every part has, in the order of the first."""
    return [layer for layer in parts[0]["layer"].unique() if all((part["layer"] == layer).any() for part in parts)]


def varied(part: pd.DataFrame) -> list[str]:
    """The settings that vary, beside the layer, its options, the seed and what trials have chosen."""
    keys = part.columns.difference([*NOT_SETTINGS, *REPLICATES, "layer", *tuned_keys(part)], sort=False)
    return [key for key in keys if not key.startswith("layer.") and part[key].astype(str).nunique() > 1]


def setting_labels(part: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """For each row, its values of `keys`: one "key value" a line."""
    columns = [part[key].astype(str).radd(f"{key.rpartition('.')[2]} ") for key in keys]
    return pd.Series(["\n".join(row) for row in zip(*columns, strict=True)], index=part.index)


def losses_of(store: Store, cell: str) -> list[float] | None:
    """The loss of each step, None where the cell's task kept none."""
    record = store.read(cell)
    loss = record.raw.get("loss") if record else None
    return loss if isinstance(loss, list) and loss else None


def archives_of(part: pd.DataFrame, store: Store) -> list[NDArray]:
    """The arrays beside the cells of `part`, by seed; cells without any are left out."""
    cells = part.sort_values("seed")["cell"].unique()
    return [np.load(store.arrays(cell), allow_pickle=False) for cell in cells if store.arrays(cell).exists()]


def arrays_of(spec: FigureSpec, frame: pd.DataFrame, store: Store, key: str) -> Arrays:
    """Each layer's arrays at the lowest seed. Raises ArraysMissing if none of them has `key`."""
    part = finished(frame, spec.experiment)
    part = part[part["seed"] == part["seed"].min()]
    found: Arrays = {}
    for layer in part["layer"].unique():
        for archive in archives_of(part[part["layer"] == layer], store)[:1]:
            found[layer] = dict(archive)
    if not any(key in archive for archive in found.values()):
        raise ArraysMissing(f"figure {spec.name!r}: experiment {spec.experiment!r} stored no {key!r}")
    return found
