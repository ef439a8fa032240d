"""What trained networks made, from the arrays beside their cells: masks and images."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from upbench.grid.spec import FigureSpec
from upbench.masks import VOID
from upbench.report.selection import Material, read_first_arrays
from upbench.report.style import CLASSES, VOID_COLOUR, add_legend, new_figure

TILES = 5  # test tiles of a figure of masks, at most
IMAGES = 8  # images a row, at most


def draw_masks(spec: FigureSpec, material: Material) -> Figure:
    """Draw test tiles, their true classes and what each layer's network predicts; the first seed."""
    arrays = read_first_arrays(spec, material, "prediction")
    # all layers saw the same tiles
    first = next(iter(arrays.values()))
    columns = {"image": first["image"], "truth": first["truth"]}
    for layer, archive in arrays.items():
        columns[layer] = archive["prediction"]
    names = list(map(str, first["class_names"]))
    colours = _class_colours(len(names))
    tiles = min(TILES, len(first["image"]))
    width = 1.5 * len(columns)
    height = 1.5 * tiles + 1.0
    figure = new_figure(width, height)
    grid = figure.subplots(tiles, len(columns), squeeze=False)
    for column, (title, pictures) in enumerate(columns.items()):
        for row in range(tiles):
            _show_tile(grid[row][column], pictures[row], colours)
        colour = "black"
        if title in arrays:
            colour = material.palette.colour(title)
        narrow = title.replace(" ", "\n")  # one word a line, as a column is narrow
        grid[0][column].set_title(narrow, fontsize="small", color=colour)
    patches = {}
    for index, name in enumerate(names):
        patches[name] = mpl.patches.Patch(color=colours(index))
    add_legend(figure, patches, most=6)
    return figure


def draw_images(spec: FigureSpec, material: Material) -> Figure:
    """Draw real images and what each layer's network makes of noise; the first seed, not chosen."""
    arrays = read_first_arrays(spec, material, "generated")
    # real images are the same for all layers
    first = next(iter(arrays.values()))
    rows = {"real": first["original"]}
    for layer, archive in arrays.items():
        rows[layer] = archive["generated"]
    fewest = min(map(len, rows.values()))
    count = min(IMAGES, fewest)
    width = 1.25 * count + 1.2
    height = 1.3 * len(rows) + 0.4
    figure = new_figure(width, height)
    grid = figure.subplots(len(rows), count, squeeze=False)
    for row, (title, pictures) in enumerate(rows.items()):
        for column in range(count):
            _show_image(grid[row][column], pictures[column])
        colour = "black"
        if title in arrays:
            colour = material.palette.colour(title)
        narrow = title.replace("_", "\n").replace(" ", "\n")
        grid[row][0].set_ylabel(
            narrow,
            rotation=0,
            ha="right",
            va="center",
            color=colour,
        )
    return figure


def _class_colours(classes: int) -> ListedColormap:
    """A colour for each class, and one for void after them."""
    # with more classes than colours some look alike
    colours = [CLASSES[index % len(CLASSES)] for index in range(classes)]
    return ListedColormap([*colours, VOID_COLOUR])


def _show_tile(axes: Axes, picture: NDArray[np.uint8], colours: ListedColormap) -> None:
    """Show an image (H, W, channels), or a mask of classes (H, W)."""
    if picture.ndim == 3:
        _show_image(axes, picture)
        return
    _strip(axes)
    last = colours.N - 1
    labels = np.where(picture == VOID, last, picture)
    axes.imshow(
        labels,
        cmap=colours,
        vmin=0,
        vmax=last,
        interpolation="nearest",
    )


def _show_image(axes: Axes, picture: NDArray[np.uint8]) -> None:
    """Show an image (H, W, channels) of one channel or three."""
    _strip(axes)
    if picture.shape[-1] == 1:
        # or matplotlib would want a mask, and colour it
        picture = np.repeat(picture, 3, -1)
    axes.imshow(picture, interpolation="nearest")


def _strip(axes: Axes) -> None:
    """Take away ticks and box."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
