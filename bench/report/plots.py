"""A grid's figures: each kind by name, and the charts among them."""

from __future__ import annotations

from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from bench.report.pictures import images, masks, spectra
from bench.report.selection import NothingToDraw, column, finished, layers_of, losses_of, setting_labels, varied
from bench.report.statistics import estimate
from bench.report.style import colour, face, figure_style, line, marker, new_figure, shared_legend
from bench.run.spec import FigureSpec
from bench.run.store import Store

POINTS = 40  # of a learning curve


def draw(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Raises NothingToDraw if the run holds nothing of what the figure shows."""
    with figure_style():
        figure = DRAW[spec.kind](spec, frame, store)
        figure.suptitle(spec.title)
    return figure


def tradeoff(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Two columns against each other: a point a layer, its 95 % intervals as bars, its replicates behind it.

    A panel for each setting that varies in y; where it varies in x too, a panel has its own x.
    """
    x, y = column(frame, spec.x), column(frame, spec.y)
    figure, panels = _panels(y)
    for axes, up in panels:
        across = _alike(x, up, spec)
        for layer in layers_of(across, up):
            style = {"color": colour(layer), "marker": marker(layer), "markerfacecolor": face(layer, layers_of(y))}
            _trade(axes, layer, across[across["layer"] == layer], up[up["layer"] == layer], style)
        axes.margins(0.12)
        axes.set_xlabel(_axis_label(spec.x, x).replace(", ", ",\n" if len(panels) > 1 else ", "))
    panels[0][0].set_ylabel(_axis_label(spec.y, y))
    shared_legend(figure)
    return figure


def _trade(axes: Axes, layer: str, across: pd.DataFrame, up: pd.DataFrame, style: dict[str, str]) -> None:
    by_seed = [part.set_index("seed")["value"].sort_index() for part in (across, up)]
    ours, theirs = (estimate(values.tolist()) for values in by_seed)
    pairs = pd.concat(by_seed, axis=1, join="inner").to_numpy()
    axes.scatter(pairs[:, 0], pairs[:, 1], s=14, alpha=0.35, linewidths=0, color=style["color"], marker=style["marker"])
    bars = {"xerr": np.nan_to_num(ours.half_width), "yerr": np.nan_to_num(theirs.half_width)}
    axes.errorbar(ours.mean, theirs.mean, **bars, fmt="none", capsize=3, elinewidth=1.4, color=style["color"])
    axes.plot(ours.mean, theirs.mean, markersize=9, linestyle="none", label=layer, zorder=3, **style)  # type: ignore[arg-type]


def _alike(x: pd.DataFrame, group: pd.DataFrame, spec: FigureSpec) -> pd.DataFrame:
    """The rows of x whose settings are those of the group."""
    for key in varied(x):
        alike = x[key].astype(str) == str(group[key].iloc[0])
        if not alike.any():
            raise NothingToDraw(f"figure {spec.name!r}: {key!r} varies in {spec.x!r}, which has none like {spec.y!r}")
        x = x[alike]
    return x


def lines(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """One column over the settings that vary within its experiment: a line a layer, 95 % intervals as bars."""
    part = column(frame, spec.y)
    keys = varied(part)
    if not keys:
        raise NothingToDraw(f"figure {spec.name!r}: nothing but layer and seed varies in {spec.y!r}")
    part = part.sort_values(keys, kind="stable")
    labels = setting_labels(part, keys)
    order = list(dict.fromkeys(labels))
    figure = new_figure(max(6.4, 1.6 * len(order)), 4.4)
    axes = figure.subplots()
    layers = layers_of(part)
    for index, layer in enumerate(layers):
        shift = (index - (len(layers) - 1) / 2) * 0.6 / len(layers)  # side by side, or the bars hide each other
        points = [estimate(part[(part["layer"] == layer) & (labels == label)]["value"].tolist()) for label in order]
        axes.errorbar(
            np.arange(len(order)) + shift, [point.mean for point in points],
            yerr=[np.nan_to_num(point.half_width) for point in points], label=layer, color=colour(layer),
            marker=marker(layer), markerfacecolor=face(layer, layers), linestyle=":", linewidth=1, elinewidth=1.5,
            capsize=3,
        )  # fmt: skip
    axes.set_xticks(range(len(order)), order)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(_axis_label(spec.y, part))
    if part["value"].max() > 8 * part["value"].min() > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
    shared_legend(figure)
    return figure


def curves(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Training loss against step, a panel for each setting that varies: a line a layer, mean and range over seeds.

    A point is the mean of successive steps, or the noise of the batches would hide the layers.
    """
    part = finished(frame, spec.experiment).drop_duplicates("cell")
    figure, panels = _panels(part)
    drawn = False
    for axes, group in panels:
        for layer in layers_of(group):
            found = [losses_of(store, cell) for cell in group[group["layer"] == layer]["cell"]]
            losses = [loss for loss in found if loss is not None]
            if not losses:
                continue
            steps, values = _coarse(losses)
            style: Any = {"color": colour(layer), "linestyle": line(layer, layers_of(part)), "marker": marker(layer)}
            axes.plot(steps, values.mean(0), label=layer, linewidth=1.4, markersize=4, markevery=0.15, **style)
            axes.fill_between(steps, values.min(0), values.max(0), color=colour(layer), alpha=0.15, linewidth=0)
            drawn = True
        axes.set_xlabel("step")
    if not drawn:
        raise NothingToDraw(f"figure {spec.name!r}: experiment {spec.experiment!r} has no stored loss")
    _log_if_wide([axes for axes, _ in panels])
    panels[0][0].set_ylabel("training loss")
    shared_legend(figure)
    return figure


def sweep(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Column y over the setting x, a number: a line a layer, bars from the worst seed to the best.

    A panel for each other setting that varies; a value at which a seed was lost has no point.
    """
    part, key = column(frame, spec.y), spec.x
    if key not in part or not part[key].map(lambda value: isinstance(value, int | float)).all():
        raise NothingToDraw(f"figure {spec.name!r}: {key!r} is no number in {spec.y!r}")
    figure, panels = _panels(part, {key})
    layers = layers_of(part)
    for axes, group in panels:
        for layer in layers:
            found = group[group["layer"] == layer].groupby(key)["value"].agg(["mean", "min", "max", "count"])
            chosen = found[found["count"] == part["seed"].nunique()].sort_index()
            bars = [chosen["mean"] - chosen["min"], chosen["max"] - chosen["mean"]]
            axes.errorbar(
                chosen.index.astype(float), chosen["mean"], yerr=bars, label=layer, color=colour(layer),
                marker=marker(layer), linestyle=line(layer, layers), linewidth=1.2, elinewidth=1, capsize=2,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel(key.rpartition(".")[2].replace("_", " "))
        axes.set_xticks(values := sorted(set(part[key].astype(float))), [f"{value:g}" for value in values])
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0][0].set_ylabel(_axis_label(spec.y, part))
    shared_legend(figure)
    return figure


DRAW: dict[str, Callable[[FigureSpec, pd.DataFrame, Store], Figure]] = {
    "tradeoff": tradeoff,
    "lines": lines,
    "masks": masks,
    "images": images,
    "spectra": spectra,
    "curves": curves,
    "sweep": sweep,
}


def _axis_label(name: str, part: pd.DataFrame) -> str:
    unit, better = part["unit"].iloc[0], part["better"].iloc[0]
    shown = "" if unit in ("", "1") else f" [{unit.replace('x ', '× ')}]"
    return f"{name.replace('.', ' ')}{shown}, {better} is better"


def _panels(part: pd.DataFrame, within: Set[str] = frozenset()) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure with a panel, and its rows, for each combination of what varies beside layer, seed and `within`."""
    keys = [key for key in varied(part) if key not in within]
    labels = setting_labels(part, keys) if keys else pd.Series("", index=part.index)
    groups = list(part.groupby(labels, sort=False))
    across = min(3, len(groups))
    down = -(-len(groups) // across)
    figure = new_figure(max(6.4, 4.0 * across), 0.9 + 3.5 * down)
    grid = figure.subplots(down, across, squeeze=False, sharey=True).flatten()
    for axes in grid[len(groups) :]:
        axes.set_axis_off()
    for axes, (label, _) in zip(grid, groups, strict=False):
        axes.set_title(str(label).replace("\n", ", "))
    return figure, [(axes, group) for axes, (_, group) in zip(grid, groups, strict=False)]


def _coarse(losses: list[list[float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Last step of each block, (blocks,), and the blocks' mean losses, (runs, blocks): at most POINTS blocks."""
    values = np.array([loss[: min(map(len, losses))] for loss in losses])
    edges = np.unique(np.linspace(0, values.shape[1], min(POINTS, values.shape[1]) + 1).astype(int))
    return edges[1:].astype(float), np.add.reduceat(values, edges[:-1], axis=1) / np.diff(edges)


def _log_if_wide(panels: list[Axes]) -> None:
    """A logarithmic axis for panels that share it, where the lines are positive and span more than a factor of 4."""
    values = np.concatenate([np.asarray(drawn.get_ydata(), float) for axes in panels for drawn in axes.get_lines()])
    if values.max() > 4 * values.min() > 0:
        panels[0].set_yscale("log")
        for axes in panels:
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_minor_formatter(ScalarFormatter() if values.max() < 12 * values.min() else NullFormatter())


def save(figure: Figure, path: Path) -> None:
    """PNG without the date, so that the same results give the same file."""
    figure.savefig(path, metadata={"Software": None})
