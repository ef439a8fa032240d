"""What the charts of a run share: panels, labels of axes, and logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Set

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter

from upbench.labels import label_columns
from upbench.report.selection import label_settings, varied_settings
from upbench.report.style import new_figure
from upbench.report.tables import write_unit

ACROSS = 3  # panels in a row, at most

Panel = tuple[Axes, pd.DataFrame]


def label_axis(name: str, part: pd.DataFrame) -> str:
    """The label of an axis that shows the column `name`, whose rows of the frame are `part`."""
    labels = label_columns([name])
    unit = write_unit(part["unit"].iloc[0])
    better = part["better"].iloc[0]
    return f"{labels[name]}{unit}, {better} is better"


def make_panels(part: pd.DataFrame, within: Set[str] = frozenset()) -> tuple[Figure, list[Panel]]:
    """Make a figure with a panel for each combination of settings that vary, beside layer and seed.

    Args:
        part: the rows of the frame that the figure shows.
        within: the settings that vary within a panel.

    Returns:
        The figure, and each panel with its rows.
    """
    keys = [key for key in varied_settings(part) if key not in within]
    labels = label_settings(part, keys)
    groups = list(part.groupby(labels, sort=False))
    across = min(ACROSS, len(groups))
    down = math.ceil(len(groups) / across)
    width = max(6.4, 4.0 * across)
    height = 0.9 + 3.5 * down
    figure = new_figure(width, height)
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    all_axes = grid.flatten()
    # the last row may have more places than panels
    for unused in all_axes[len(groups) :]:
        unused.set_axis_off()
    panels = []
    for axes, (label, group) in zip(all_axes, groups, strict=False):
        axes.set_title(str(label).replace("\n", ", "))
        panels.append((axes, group))
    return figure, panels


def use_log_scale(axes: Axes) -> None:
    """Make the upward axis logarithmic, with plain numbers at powers of ten alone."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())


def use_log_scale_if_wide(panels: list[Axes]) -> None:
    """Make the shared upward axis logarithmic where the lines are positive and span more than a factor of 4."""
    drawn: list[Line2D] = []
    for axes in panels:
        drawn += axes.get_lines()
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in drawn])
    least = values.min()
    most = values.max()
    if not most > 4 * least > 0:
        return
    panels[0].set_yscale("log")
    for axes in panels:
        axes.yaxis.set_major_formatter(ScalarFormatter())
        # within one power of ten the numbers between are all there is to read
        minor = ScalarFormatter() if most < 12 * least else NullFormatter()
        axes.yaxis.set_minor_formatter(minor)
