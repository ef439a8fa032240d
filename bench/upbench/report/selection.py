"""What a figure shows of a run: rows of the tidy frame, and the losses and arrays beside its cells."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from upbench.errors import UserError
from upbench.grid.spec import FigureSpec
from upbench.labels import split_column
from upbench.report.blocks import NOT_SETTINGS, REPLICATES, tuned_keys
from upbench.report.style import Palette, choose_palette
from upbench.report.tables import scale
from upbench.store.results import Results

Arrays = dict[str, NDArray]  # what one cell left, by name


@dataclass(frozen=True)
class Material:
    """What the figures of a run are drawn from.

    Attributes:
        frame: the tidy frame of the run.
        results: the run, for the losses in its records and the arrays beside them.
        palette: the look of each layer of the run.
    """

    frame: pd.DataFrame
    results: Results
    palette: Palette


def gather_material(frame: pd.DataFrame, results: Results) -> Material:
    """The material of a run, whose palette is that of all its layers."""
    palette = choose_palette(frame["layer"].unique())
    return Material(frame, results, palette)


class NothingToDraw(Exception):
    """The run does not hold what a figure shows."""


class ArraysMissing(NothingToDraw):
    """The cells of a figure ended, but the arrays they left are not beside them, as in a copy without them."""


def select_finished(frame: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The rows of an experiment's cells that ended well. Raises NothingToDraw if there is none."""
    part = frame[frame["experiment"] == experiment]
    part = part[part["outcome"] == "ok"]
    if part.empty:
        raise NothingToDraw(f"experiment {experiment!r} has no finished cell to draw")
    return part


def select_column(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of "experiment.metric", in a unit that brings their median to at least 1.

    Raises NothingToDraw if there is none.
    """
    experiment, metric = split_column(name)
    part = select_finished(frame, experiment)
    part = part[part["metric"] == metric]
    if part.empty:
        raise NothingToDraw(f"no cell has {name!r}")
    first_unit = part["unit"].iloc[0]
    # the metric has one unit, whichever cell measured it
    divisor, unit = scale(first_unit, part["value"].tolist())
    return part.assign(value=part["value"] / divisor, unit=unit)


def layers_of(part: pd.DataFrame) -> list[str]:
    """The labels of the layers, in the order of their first rows."""
    return list(part["layer"].unique())


def layers_of_both(part: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """The labels of the layers that both have, in the order of the first."""
    others = set(other["layer"])
    return [layer for layer in layers_of(part) if layer in others]


def select_layer(part: pd.DataFrame, layer: str) -> pd.DataFrame:
    """The rows of a layer."""
    return part[part["layer"] == layer]


def varied_settings(part: pd.DataFrame) -> list[str]:
    """The settings that vary, beside the layer, its options, the seed and what trials have chosen."""
    left_out = [*NOT_SETTINGS, *REPLICATES, "layer", *tuned_keys(part)]
    settings = part.columns.difference(left_out, sort=False)
    # as text, since some settings are lists
    return [key for key in settings if not key.startswith("layer.") and part[key].astype(str).nunique() > 1]


def label_settings(part: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """For each row, its values of `keys`: one "key value" a line."""
    labels = pd.Series("", index=part.index)
    # one line a setting, as the labels of ticks stand side by side
    for key in keys:
        option = key.rpartition(".")[2]
        values = part[key].astype(str)
        labels = labels + f"\n{option} " + values
    return labels.str.removeprefix("\n")


def losses_of(results: Results, cells: Sequence[str]) -> list[list[float]]:
    """The loss of each step of each of the cells; cells whose task kept none are left out."""
    losses = []
    for cell in cells:
        record = results.records.get(cell)
        if record is None:
            continue
        loss = record.raw.get("loss")
        if isinstance(loss, list) and loss:
            losses.append(loss)
    return losses


def read_arrays(part: pd.DataFrame, results: Results) -> list[Arrays]:
    """The arrays beside the cells of `part`, by seed; cells without any are left out."""
    # the frame has a row for each measurement of a cell
    cells = part.sort_values("seed")["cell"].unique()
    paths = map(results.store.arrays, cells)
    return [_read_archive(path) for path in paths if path.exists()]


def read_first_arrays(spec: FigureSpec, material: Material, key: str) -> dict[str, Arrays]:
    """The arrays of each layer at the lowest seed, by its label. Raises ArraysMissing if none of them has `key`."""
    part = select_finished(material.frame, spec.experiment)
    lowest = part["seed"].min()
    part = part[part["seed"] == lowest]
    arrays = {}
    for layer in layers_of(part):
        archives = read_arrays(select_layer(part, layer), material.results)
        if archives:
            # several cells of a layer differ in other settings; the first stands for all
            arrays[layer] = archives[0]
    if not any(key in archive for archive in arrays.values()):
        raise ArraysMissing(f"figure {spec.name!r}: experiment {spec.experiment!r} stored no {key!r}")
    return arrays


def _read_archive(path: Path) -> Arrays:
    """The arrays of one cell. Raises UserError if their file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        # a cell whose record is gone runs again, and leaves its arrays anew
        record = path.with_suffix(".json").name
        raise UserError(f"{path} is damaged ({error}); delete {record} beside it and run the grid again") from None
