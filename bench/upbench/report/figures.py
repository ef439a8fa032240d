"""A grid's figures by name, and how one is drawn and saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from upbench.grid.spec import FigureSpec
from upbench.report.curves import draw_learning_curves, draw_spectra
from upbench.report.pictures import draw_images, draw_masks
from upbench.report.plots import draw_lines, draw_sweep, draw_tradeoff
from upbench.report.selection import Material
from upbench.report.style import figure_style

DRAWERS: dict[str, Callable[[FigureSpec, Material], Figure]] = {
    "tradeoff": draw_tradeoff,
    "lines": draw_lines,
    "sweep": draw_sweep,
    "masks": draw_masks,
    "images": draw_images,
    "spectra": draw_spectra,
    "curves": draw_learning_curves,
}


def draw(spec: FigureSpec, material: Material) -> Figure:
    """Draw a figure. Raises NothingToDraw if the run holds nothing of what it shows."""
    # the style holds while artists are made; saving needs it no more
    with figure_style():
        figure = DRAWERS[spec.kind](spec, material)
        figure.suptitle(spec.title)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file without the date, so that the same results give the same file."""
    figure.savefig(path, metadata={"Software": None})
