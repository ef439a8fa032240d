"""Curves over seeds, as a mean and a band from the lowest to the highest: of training, and of spectra of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from upbench.grid.spec import FigureSpec
from upbench.metrics.spectrum import azimuthal_average
from upbench.report.panels import make_panels, use_log_scale_if_wide
from upbench.report.selection import (
    Arrays,
    ArraysMissing,
    Material,
    NothingToDraw,
    layers_of,
    losses_of,
    read_arrays,
    select_finished,
    select_layer,
)
from upbench.report.statistics import Floats
from upbench.report.style import REAL, add_shared_legend, new_figure

POINTS = 40  # of a learning curve


def draw_learning_curves(spec: FigureSpec, material: Material) -> Figure:
    """Draw training loss against step, a panel for each setting that varies: a line a layer, mean and range over seeds.

    A point is the mean of successive steps, or the noise of the batches would hide the layers.
    """
    part = select_finished(material.frame, spec.experiment).drop_duplicates("cell")
    figure, panels = make_panels(part)
    palette = material.palette
    layers = layers_of(part)
    drawn = False
    for axes, group in panels:
        for layer in layers_of(group):
            cells = select_layer(group, layer)["cell"]
            losses = losses_of(material.results, cells.tolist())
            if not losses:
                continue
            steps, values = _average_blocks(losses)
            look = {
                "color": palette.colour(layer),
                "linestyle": palette.line(layer, layers),
                "marker": palette.marker(layer),
                "markersize": 4,
                "markevery": 0.15,  # of the width of the panel: a marker a point would hide the line
            }
            _draw_band(axes, layer, steps, values, look)
            drawn = True
        axes.set_xlabel("step")
    if not drawn:
        raise NothingToDraw(f"figure {spec.name!r}: experiment {spec.experiment!r} has no stored loss")
    # once all lines are drawn, as their range decides
    use_log_scale_if_wide([axes for axes, _ in panels])
    panels[0][0].set_ylabel("training loss")
    add_shared_legend(figure)
    return figure


def draw_spectra(spec: FigureSpec, material: Material) -> Figure:
    """Draw the power of generated images relative to real ones, mean and range over seeds.

    Along the axes and the diagonal of the spectrum a checkerboard is a spike.
    """
    part = select_finished(material.frame, spec.experiment)
    archives_by_layer = {}
    for layer in layers_of(part):
        archives = read_arrays(select_layer(part, layer), material.results)
        if archives:
            archives_by_layer[layer] = archives
    if not archives_by_layer:
        raise ArraysMissing(f"figure {spec.name!r}: experiment {spec.experiment!r} has no stored spectra")
    figure = new_figure(12.0, 4.4)
    panels = figure.subplots(1, len(CUTS), sharey=True)
    for axes, (title, cut) in zip(panels, CUTS.items(), strict=True):
        for layer, archives in archives_by_layer.items():
            power = np.array([_relative_power(archive, cut) for archive in archives])
            look = {
                "color": material.palette.colour(layer),
                "linestyle": material.palette.line(layer, list(archives_by_layer)),
            }
            _draw_spectrum(axes, layer, power, look, material.palette.marker(layer))
        axes.axhline(
            0,
            color=REAL,
            linewidth=1,
            linestyle="--",
            label="real images",
        )
        axes.set_title(title)
        axes.set_xlabel("frequency [cycles / pixel]")
    panels[0].set_ylabel("power relative to real images [dB]")
    add_shared_legend(figure)
    return figure


def _draw_spectrum(axes: Axes, layer: str, power: Floats, look: dict[str, Any], marker: str) -> None:
    """Draw the cut through a layer's spectra, with a marker at the highest frequency, where a checkerboard shows.

    Args:
        axes: where.
        layer: the label.
        power: (seeds, frequencies), in decibels, from frequency 0 to half a cycle a pixel.
        look: what the line looks like, its colour among it.
        marker: the layer's marker.
    """
    steps = power.shape[1] - 1
    frequency = np.arange(steps + 1) / (2 * steps)
    # frequency 0 is the mean brightness, no pattern
    _draw_band(axes, layer, frequency[1:], power[:, 1:], look)
    mean = power.mean(0)
    axes.plot(
        frequency[-1],
        mean[-1],
        color=look["color"],
        marker=marker,
        clip_on=False,
    )


def _draw_band(axes: Axes, layer: str, x: Floats, values: Floats, look: dict[str, Any]) -> None:
    """Draw the mean over runs as a line, and the range of the runs as a band around it.

    Args:
        axes: where.
        layer: the label.
        x: (points,).
        values: (runs, points).
        look: what the line looks like, its colour among it.
    """
    axes.plot(
        x,
        values.mean(0),
        label=layer,
        linewidth=1.4,
        **look,
    )
    axes.fill_between(
        x,
        values.min(0),
        values.max(0),
        color=look["color"],
        alpha=0.15,
        linewidth=0,
    )


def _average_blocks(losses: list[list[float]]) -> tuple[Floats, Floats]:
    """Cut the steps that all runs have into at most POINTS blocks.

    Returns:
        The last step of each block, (blocks,), and the mean loss of each run in each block, (runs, blocks).
    """
    shortest = min(map(len, losses))  # a run that diverged ended early
    values = np.array([loss[:shortest] for loss in losses])
    blocks = min(POINTS, shortest)
    # whole steps, in blocks of as like a size as can be
    steps = np.linspace(0, shortest, blocks + 1)
    edges = np.unique(steps.astype(int))
    starts = edges[:-1]
    ends = edges[1:]
    sums = np.add.reduceat(values, starts, axis=1)
    sizes = np.diff(edges)
    return ends.astype(float), sums / sizes


def _relative_power(archive: Arrays, cut: Callable[[Floats], Floats]) -> Floats:
    """A cut through the spectrum of generated images over the same cut of real ones, in decibels."""
    generated = cut(archive["spectrum"])
    real = cut(archive["spectrum_real"])
    decibels = 10 * np.log10(generated / real)
    return np.asarray(decibels)


def _cut_axes(spectrum: Floats) -> Floats:
    """Power from frequency 0 to pi, mean of the two axes."""
    half = min(spectrum.shape) // 2  # of a cycle a pixel; beyond it the spectrum mirrors itself
    along_rows = spectrum[0, : half + 1]
    along_columns = spectrum[: half + 1, 0]
    return (along_rows + along_columns) / 2


def _cut_diagonal(spectrum: Floats) -> Floats:
    """Power from frequency 0 to pi along the diagonal."""
    half = min(spectrum.shape) // 2
    return np.diagonal(spectrum)[: half + 1]


def _cut_rings(spectrum: Floats) -> Floats:
    """Mean power of each ring of frequencies; those beyond pi hold corners only and are left out."""
    half = min(spectrum.shape) // 2
    return azimuthal_average(spectrum)[: half + 1]


CUTS = {
    "along rows and columns": _cut_axes,
    "along the diagonal": _cut_diagonal,
    "all directions": _cut_rings,
}
