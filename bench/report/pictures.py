"""What trained networks made, from the arrays beside their cells: masks, images and the spectra of images."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.metrics.spectrum import azimuthal_average
from bench.report.selection import ArraysMissing, archives_of, arrays_of, finished
from bench.report.style import CLASSES, REAL, VOID_COLOUR, colour, legend, line, marker, new_figure, shared_legend
from bench.run.spec import FigureSpec
from bench.run.store import Store

VOID = 255


def masks(spec: FigureSpec, frame: pd.DataFrame, store: Store) -> Figure:
    """Test tiles, their true classes and what each layer's network predicts; the first seed."""
    arrays = arrays_of(spec, frame, store, "prediction")
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
    arrays = arrays_of(spec, frame, store, "generated")
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
    part = finished(frame, spec.experiment)
    found = {
        layer: [dict(archive) for archive in archives_of(part[part["layer"] == layer], store)]
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
    shared_legend(figure)
    return figure


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
