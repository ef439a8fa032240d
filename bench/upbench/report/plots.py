"""Charts of measured columns: against each other, over all settings that vary, and over one setting alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from upbench.grid.spec import FigureSpec
from upbench.report.panels import label_axis, make_panels, use_log_scale
from upbench.report.selection import (
    Material,
    NothingToDraw,
    label_settings,
    layers_of,
    layers_of_both,
    select_column,
    select_layer,
    varied_settings,
)
from upbench.report.statistics import estimate
from upbench.report.style import add_shared_legend, new_figure

SPREAD = 0.6  # of the distance of two ticks, over which the layers' points stand side by side


def draw_tradeoff(spec: FigureSpec, material: Material) -> Figure:
    """Draw two columns against each other: a point a layer, its 95 % intervals as bars, its replicates behind it.

    A panel for each setting that varies in y; where it varies in x too, a panel has its own x.
    """
    x = select_column(material.frame, spec.x)
    y = select_column(material.frame, spec.y)
    figure, panels = make_panels(y)
    x_label = label_axis(spec.x, x)
    if len(panels) > 1:
        # a panel of several is too narrow for one line
        x_label = x_label.replace(", ", ",\n")
    palette = material.palette
    layers = layers_of(y)
    for axes, upward in panels:
        across = _select_alike(x, upward, spec)
        for layer in layers_of_both(across, upward):
            look = {
                "color": palette.colour(layer),
                "marker": palette.marker(layer),
                "markerfacecolor": palette.marker_face(layer, layers),
            }
            layer_across = select_layer(across, layer)
            layer_upward = select_layer(upward, layer)
            _draw_point(axes, layer, layer_across, layer_upward, look)
        axes.margins(0.12)  # room for the markers at the edge
        axes.set_xlabel(x_label)
    panels[0][0].set_ylabel(label_axis(spec.y, y))
    add_shared_legend(figure)
    return figure


def draw_lines(spec: FigureSpec, material: Material) -> Figure:
    """Draw one column over the settings that vary within its experiment: a line a layer, 95 % intervals as bars."""
    part = select_column(material.frame, spec.y)
    keys = varied_settings(part)
    if not keys:
        raise NothingToDraw(f"figure {spec.name!r}: nothing but layer and seed varies in {spec.y!r}")
    # in the order of the settings' values, not of the grid's file
    part = part.sort_values(keys, kind="stable")
    labels = label_settings(part, keys)
    ticks = list(dict.fromkeys(labels))
    width = max(6.4, 1.6 * len(ticks))
    figure = new_figure(width, 4.4)
    axes = figure.subplots()
    palette = material.palette
    layers = layers_of(part)
    for place, layer in enumerate(layers):
        # side by side, or the bars hide each other
        from_middle = place - (len(layers) - 1) / 2
        shift = from_middle * SPREAD / len(layers)
        values = select_layer(part, layer)["value"]
        points = [estimate(values[labels == tick].tolist()) for tick in ticks]
        axes.errorbar(
            np.arange(len(ticks)) + shift,
            [point.mean for point in points],
            yerr=[np.nan_to_num(point.half_width) for point in points],
            label=layer,
            color=palette.colour(layer),
            marker=palette.marker(layer),
            markerfacecolor=palette.marker_face(layer, layers),
            linestyle=":",  # what lies between two settings was not measured
            linewidth=1,
            elinewidth=1.5,
            capsize=3,
        )
    axes.set_xticks(range(len(ticks)), ticks)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(label_axis(spec.y, part))
    least = part["value"].min()
    most = part["value"].max()
    if most > 8 * least > 0:
        use_log_scale(axes)
    add_shared_legend(figure)
    return figure


def draw_sweep(spec: FigureSpec, material: Material) -> Figure:
    """Draw column y over the setting x, a number: a line a layer, bars from the worst seed to the best.

    A panel for each other setting that varies; a value at which a seed was lost has no point.
    """
    part = select_column(material.frame, spec.y)
    key = spec.x
    if not _is_number(part, key):
        raise NothingToDraw(f"figure {spec.name!r}: {key!r} is no number in {spec.y!r}")
    figure, panels = make_panels(part, {key})
    palette = material.palette
    layers = layers_of(part)
    seeds = part["seed"].nunique()
    ticks = sorted(set(part[key].astype(float)))  # in all panels, also where a value has no point
    for axes, group in panels:
        for layer in layers:
            values = select_layer(group, layer).groupby(key)["value"]
            points = values.agg(["mean", "min", "max", "count"])
            # a mean over fewer seeds than the others cannot be set beside theirs
            points = points[points["count"] == seeds].sort_index()
            down = points["mean"] - points["min"]
            up = points["max"] - points["mean"]
            axes.errorbar(
                points.index.astype(float),
                points["mean"],
                yerr=[down, up],
                label=layer,
                color=palette.colour(layer),
                marker=palette.marker(layer),
                linestyle=palette.line(layer, layers),
                linewidth=1.2,
                elinewidth=1,
                capsize=2,
            )
        axes.set_xscale("log")  # rates and depths are tried out by factors
        axes.set_xlabel(key.rpartition(".")[2].replace("_", " "))
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0][0].set_ylabel(label_axis(spec.y, part))
    add_shared_legend(figure)
    return figure


def _draw_point(axes: Axes, layer: str, across: pd.DataFrame, upward: pd.DataFrame, look: dict[str, Any]) -> None:
    """Draw one layer of a trade-off from the rows of its two columns."""
    x = across.set_index("seed")["value"].sort_index()
    y = upward.set_index("seed")["value"].sort_index()
    # the replicates of seeds that both columns have
    pairs = pd.concat([x, y], axis=1, join="inner").to_numpy()
    axes.scatter(
        pairs[:, 0],
        pairs[:, 1],
        s=14,
        alpha=0.35,
        linewidths=0,
        color=look["color"],
        marker=look["marker"],
    )
    mean_x = estimate(x.tolist())
    mean_y = estimate(y.tolist())
    axes.errorbar(
        mean_x.mean,
        mean_y.mean,
        xerr=np.nan_to_num(mean_x.half_width),  # one replicate has no interval, and no bar
        yerr=np.nan_to_num(mean_y.half_width),
        fmt="none",
        capsize=3,
        elinewidth=1.4,
        color=look["color"],
    )
    axes.plot(
        mean_x.mean,
        mean_y.mean,
        markersize=9,
        linestyle="none",
        label=layer,
        zorder=3,  # above the bars
        **look,
    )


def _is_number(part: pd.DataFrame, key: str) -> bool:
    """Whether all of the rows have a number for a setting."""
    if key not in part:
        return False
    numbers = part[key].map(lambda value: isinstance(value, int | float))
    return bool(numbers.all())


def _select_alike(x: pd.DataFrame, group: pd.DataFrame, spec: FigureSpec) -> pd.DataFrame:
    """The rows of x whose settings are those of the group. Raises NothingToDraw if there is none."""
    for key in varied_settings(x):
        wanted = group[key].iloc[0]
        alike = x[key].astype(str) == str(wanted)
        if not alike.any():
            raise NothingToDraw(f"figure {spec.name!r}: {key!r} varies in {spec.x!r}, which has none like {spec.y!r}")
        x = x[alike]
    return x
