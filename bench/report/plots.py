"""A grid's figures, drawn from the tidy frame and, for pictures and spectra, the arrays beside the cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from bench.metrics.spectrum import azimuthal_average
from bench.report.statistics import estimate
from bench.report.style import CLASSES, REAL, VOID_COLOUR, colour, face, figure_style, legend, line, marker, new_figure
from bench.report.tables import NOT_SETTINGS, REPLICATES, scale, tuned_keys
from bench.run.grid import FigureSpec
from bench.run.store import Store

VOID = 255
POINTS = 40  # of a learning curve
Arrays = dict[str, dict[str, NDArray]]  # by layer


class NothingToDraw(Exception):
    """The run does not hold what a figure shows."""


class ArraysMissing(NothingToDraw):
    """Its cells ended, but the arrays they left are not beside them, as in a copy without them."""


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
    x, y = _column(frame, spec.x), _column(frame, spec.y)
    figure, panels = _panels(y)
    for axes, up in panels:
        across = _alike(x, up, spec)
        for layer in _layers(across, up):
            style = {"color": colour(layer), "marker": marker(layer), "markerfacecolor": face(layer, _layers(y))}
            _trade(axes, layer, across[across["layer"] == layer], up[up["layer"] == layer], style)
        axes.margins(0.12)
        axes.set_xlabel(_axis_label(spec.x, x).replace(", ", ",\n" if len(panels) > 1 else ", "))
    panels[0][0].set_ylabel(_axis_label(spec.y, y))
    _shared_legend(figure)
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
    for key in _varied(x):
        alike = x[key].astype(str) == str(group[key].iloc[0])
        if not alike.any():
            raise NothingToDraw(f"figure {spec.name!r}: {key!r} varies in {spec.x!r}, which has none like {spec.y!r}")
        x = x[alike]
    return x


def lines(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """One column over the settings that vary within its experiment: a line a layer, 95 % intervals as bars."""
    part = _column(frame, spec.y)
    keys = _varied(part)
    if not keys:
        raise NothingToDraw(f"figure {spec.name!r}: nothing but layer and seed varies in {spec.y!r}")
    part = part.sort_values(keys, kind="stable")
    labels = _setting_labels(part, keys)
    order = list(dict.fromkeys(labels))
    figure = new_figure(max(6.4, 1.6 * len(order)), 4.4)
    axes = figure.subplots()
    layers = _layers(part)
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
    _shared_legend(figure)
    return figure


def masks(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Test tiles, their true classes and what each layer's network predicts; the first seed."""
    arrays = _arrays(spec, frame, store, "prediction")
    first = next(iter(arrays.values()))
    names = [str(name) for name in first["class_names"]]
    shown = range(min(5, len(first["image"])))
    colours = ListedColormap([*(CLASSES[index % len(CLASSES)] for index in range(len(names))), VOID_COLOUR])
    columns = {"image": first["image"], "truth": first["truth"], **{k: v["prediction"] for k, v in arrays.items()}}
    figure = new_figure(1.5 * len(columns), 1.5 * len(shown) + 1.0)
    grid = figure.subplots(len(shown), len(columns), squeeze=False)
    for column, (title, pictures) in enumerate(columns.items()):
        for row in shown:
            axes, picture = _bare(grid[row][column]), pictures[row]
            if picture.ndim == 3:
                axes.imshow(_rgb(picture), interpolation="nearest")
            else:
                labels = np.where(picture == VOID, len(names), picture)
                axes.imshow(labels, cmap=colours, vmin=0, vmax=len(names), interpolation="nearest")
        grid[0][column].set_title(
            title.replace(" ", "\n"), fontsize="small", color=colour(title) if title in arrays else "black"
        )
    legend(figure, {name: mpl.patches.Patch(color=colours(index)) for index, name in enumerate(names)}, most=6)
    return figure


def images(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Real images and what each layer's network makes of noise; the first seed, not chosen."""
    arrays = _arrays(spec, frame, store, "generated")
    first = next(iter(arrays.values()))
    rows = {"real": first["original"], **{layer: found["generated"] for layer, found in arrays.items()}}
    count = min(8, min(len(pictures) for pictures in rows.values()))
    figure = new_figure(1.25 * count + 1.2, 1.3 * len(rows) + 0.4)
    grid = figure.subplots(len(rows), count, squeeze=False)
    for row, (title, pictures) in enumerate(rows.items()):
        for column in range(count):
            _bare(grid[row][column]).imshow(_rgb(pictures[column]), interpolation="nearest")
        grid[row][0].set_ylabel(
            title.replace("_", "\n").replace(" ", "\n"),
            rotation=0,
            ha="right",
            va="center",
            color=colour(title) if row else "black",
        )
    return figure


def spectra(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Power of generated images relative to real ones; along the axes and the diagonal a checkerboard is a spike."""
    part = _experiment(frame, spec.experiment)
    found = {
        layer: [dict(archive) for archive in _archives(part[part["layer"] == layer], store)]
        for layer in part["layer"].unique()
    }
    found = {layer: archives for layer, archives in found.items() if archives}
    if not found:
        raise ArraysMissing(f"figure {spec.name!r}: experiment {spec.experiment!r} has no stored spectra")
    figure = new_figure(12.0, 4.4)
    panels = figure.subplots(1, 3, sharey=True)
    cuts = {"along rows and columns": _axis_cut, "along the diagonal": _diagonal_cut, "all directions": _ring_cut}
    for axes, (title, cut) in zip(panels, cuts.items(), strict=True):
        for layer, archives in found.items():
            curves = np.array([10 * np.log10(cut(a["spectrum"]) / cut(a["spectrum_real"])) for a in archives])
            frequency = np.arange(curves.shape[1]) / (2 * (curves.shape[1] - 1))
            style: Any = {"color": colour(layer), "linestyle": line(layer, list(found))}
            axes.plot(frequency[1:], curves.mean(0)[1:], label=layer, linewidth=1.4, **style)
            axes.fill_between(
                frequency[1:], curves.min(0)[1:], curves.max(0)[1:], color=colour(layer), alpha=0.15, linewidth=0
            )
            axes.plot(frequency[-1], curves.mean(0)[-1], color=colour(layer), marker=marker(layer), clip_on=False)
        axes.axhline(0, color=REAL, linewidth=1, linestyle="--", label="real images")
        axes.set_title(title)
        axes.set_xlabel("frequency [cycles / pixel]")
    panels[0].set_ylabel("power relative to real images [dB]")
    _shared_legend(figure)
    return figure


def curves(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Training loss against step, a panel for each setting that varies: a line a layer, mean and range over seeds.

    A point is the mean of successive steps, or the noise of the batches would hide the layers.
    """
    part = _experiment(frame, spec.experiment).drop_duplicates("cell")
    figure, panels = _panels(part)
    drawn = False
    for axes, group in panels:
        for layer in _layers(group):
            found = [_losses(store, cell) for cell in group[group["layer"] == layer]["cell"]]
            losses = [loss for loss in found if loss is not None]
            if not losses:
                continue
            steps, values = _coarse(losses)
            style: Any = {"color": colour(layer), "linestyle": line(layer, _layers(part)), "marker": marker(layer)}
            axes.plot(steps, values.mean(0), label=layer, linewidth=1.4, markersize=4, markevery=0.15, **style)
            axes.fill_between(steps, values.min(0), values.max(0), color=colour(layer), alpha=0.15, linewidth=0)
            drawn = True
        axes.set_xlabel("step")
    if not drawn:
        raise NothingToDraw(f"figure {spec.name!r}: experiment {spec.experiment!r} has no stored loss")
    _log_if_wide([axes for axes, _ in panels])
    panels[0][0].set_ylabel("training loss")
    _shared_legend(figure)
    return figure


def sweep(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Column y over the setting x, a number: a line a layer, bars from the worst seed to the best.

    A panel for each other setting that varies; a value at which a seed was lost has no point.
    """
    part, key = _column(frame, spec.y), spec.x
    if key not in part or not part[key].map(lambda value: isinstance(value, int | float)).all():
        raise NothingToDraw(f"figure {spec.name!r}: {key!r} is no number in {spec.y!r}")
    figure, panels = _panels(part, {key})
    layers = _layers(part)
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
    _shared_legend(figure)
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


def _experiment(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    part = frame[(frame["experiment"] == name) & (frame["outcome"] == "ok")]
    if part.empty:
        raise NothingToDraw(f"experiment {name!r} has no finished cell to draw")
    return part


def _column(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of "experiment.metric", in a unit in which the smallest value is at least 1."""
    experiment, metric = name.split(".", 1)
    part = _experiment(frame, experiment)
    part = part[part["metric"] == metric]
    if part.empty:
        raise NothingToDraw(f"no cell has {name!r}")
    divisor, unit = scale(part["unit"].iloc[0], part["value"].tolist())
    return part.assign(value=part["value"] / divisor, unit=unit)


def _layers(*parts: pd.DataFrame) -> list[str]:
    """The layers that every part has, in the order of the first."""
    return [layer for layer in parts[0]["layer"].unique() if all((part["layer"] == layer).any() for part in parts)]


def _axis_label(name: str, part: pd.DataFrame) -> str:
    unit, better = part["unit"].iloc[0], part["better"].iloc[0]
    shown = "" if unit in ("", "1") else f" [{unit.replace('x ', '× ')}]"
    return f"{name.replace('.', ' ')}{shown}, {better} is better"


def _panels(part: pd.DataFrame, within: Set[str] = frozenset()) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure with a panel, and its rows, for each combination of what varies beside layer, seed and `within`."""
    keys = [key for key in _varied(part) if key not in within]
    labels = _setting_labels(part, keys) if keys else pd.Series("", index=part.index)
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


def _shared_legend(figure: Figure) -> None:
    shown: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    legend(figure, shown)


def _losses(store: Store, cell: str) -> list[float] | None:
    """The loss of each step, None where the cell's task kept none."""
    record = store.read(cell)
    loss = record.raw.get("loss") if record else None
    return loss if isinstance(loss, list) and loss else None


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


def _varied(part: pd.DataFrame) -> list[str]:
    keys = part.columns.difference([*NOT_SETTINGS, *REPLICATES, "layer", *tuned_keys(part)], sort=False)
    return [key for key in keys if not key.startswith("layer.") and part[key].astype(str).nunique() > 1]


def _setting_labels(part: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    columns = [part[key].astype(str).radd(f"{key.rpartition('.')[2]} ") for key in keys]
    return pd.Series(["\n".join(row) for row in zip(*columns, strict=True)], index=part.index)


def _archives(part: pd.DataFrame, store: Store) -> list[NDArray]:
    cells = part.sort_values("seed")["cell"].unique()
    return [np.load(store.arrays(cell), allow_pickle=False) for cell in cells if store.arrays(cell).exists()]


def _arrays(spec: FigureSpec, frame: pd.DataFrame, store: Store, key: str) -> Arrays:
    part = _experiment(frame, spec.experiment)
    part = part[part["seed"] == part["seed"].min()]
    found: Arrays = {}
    for layer in part["layer"].unique():
        for archive in _archives(part[part["layer"] == layer], store)[:1]:
            found[layer] = dict(archive)
    if not any(key in archive for archive in found.values()):
        raise ArraysMissing(f"figure {spec.name!r}: experiment {spec.experiment!r} stored no {key!r}")
    return found


def _axis_cut(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power from frequency 0 to pi, mean of the two axes."""
    half = min(spectrum.shape) // 2
    return (spectrum[0, : half + 1] + spectrum[: half + 1, 0]) / 2


def _diagonal_cut(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    half = min(spectrum.shape) // 2
    return np.diagonal(spectrum)[: half + 1]


def _ring_cut(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power of each ring; those beyond pi hold corners only."""
    return azimuthal_average(spectrum)[: min(spectrum.shape) // 2 + 1]


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image, 3, -1) if image.shape[-1] == 1 else image


def _bare(axes: Axes) -> Axes:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def save(figure: Figure, path: Path) -> None:
    """PNG without the date, so that the same results give the same file."""
    figure.savefig(path, metadata={"Software": None})
