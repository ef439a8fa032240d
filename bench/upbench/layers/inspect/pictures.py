"""Pictures of a layer, like the figures of the PixelDCL paper: which phase sees which, and what one pixel becomes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from upbench.layers.base import UpsamplingLayer
from upbench.layers.inspect.analysis import Source, dependencies, impulse_response, receptive_masks
from upbench.layers.phases import Phase, phases

Place = tuple[float, float]  # of a node of the graph: its column, and its height above the middle of that column


def draw_dependencies(layer: UpsamplingLayer) -> Figure:
    """Draw what each phase sees as a graph.

    The input is on the left, and the phases follow in the order of what they see. An arrow goes from what is seen to
    the phase that sees it.

    Args:
        layer: A 1-D or 2-D layer.

    Returns:
        The picture.

    Raises:
        ValueError: The layer is 3-D.
    """
    check_flat(layer)
    graph = dependencies(layer)
    places = place_nodes(graph)
    columns = [column for column, _ in places.values()]
    rows = [row for _, row in places.values()]
    last = max(columns)
    lowest, highest = min(rows), max(rows)
    width = 1.9 * (last + 1)
    # rows are centred, so the lowest is as far from the middle as the highest
    height = 1.2 + 1.6 * highest
    figure = Figure(figsize=(width, height), layout="constrained")
    title = f"{type(layer).__name__}: what each phase sees"
    axes = figure.add_subplot(title=title)
    # arrows first, so that the nodes lie above their ends
    for phase, sources in graph.items():
        for source in sources:
            draw_arrow(axes, places[source], places[phase])
    for node, place in places.items():
        draw_node(axes, place, node)
    axes.set_xlim(-0.5, last + 0.5)
    axes.set_ylim(lowest - 1.3, highest + 0.7)
    axes.set_axis_off()
    return figure


def place_nodes(graph: Mapping[Phase, tuple[Source, ...]]) -> dict[Source, Place]:
    """Give the input and each phase a place: in the column after the last one it sees, the nodes of a column centred.

    Args:
        graph: What each phase sees; phases are listed after what they see.

    Returns:
        The place of each node.
    """
    columns: dict[Source, int] = {"input": 0}
    for phase, sources in graph.items():
        seen = [columns[source] for source in sources]
        columns[phase] = max(seen) + 1
    last = max(columns.values())
    places: dict[Source, Place] = {}
    for index in range(last + 1):
        nodes = [node for node, column in columns.items() if column == index]
        top = (len(nodes) - 1) / 2  # centred: rows are from top to -top
        for row, node in enumerate(nodes):
            places[node] = (index, top - row)
    return places


def draw_node(axes: Axes, place: Place, node: Source) -> None:
    """Draw the input or a phase as a box with its name."""
    column, row = place
    label = node if isinstance(node, str) else f"phase\n{node}"
    axes.text(
        column,
        row,
        label,
        ha="center",
        va="center",
        bbox={"boxstyle": "round", "facecolor": "white"},
    )


def draw_arrow(axes: Axes, start: Place, end: Place) -> None:
    """Draw an arrow, bent if it skips a column, so that it does not hide behind that column's node."""
    is_neighbour = end[0] - start[0] == 1
    bend = 0.0 if is_neighbour else 0.3
    style = {
        "arrowstyle": "->",
        "color": "0.4",
        "shrinkA": 22,
        "shrinkB": 22,
        "connectionstyle": f"arc3,rad={bend}",
    }
    axes.annotate("", end, start, arrowprops=style)


def draw_impulse_response(layer: UpsamplingLayer) -> Figure:
    """Draw the response to one bright pixel, as its root mean square over channels.

    In 1-D there is one bar for each output pixel, coloured by phase; in 2-D an image, with the bright pixel framed.

    Args:
        layer: A 1-D or 2-D layer.

    Returns:
        The picture.

    Raises:
        ValueError: The layer is 3-D.
    """
    check_flat(layer)
    power = impulse_response(layer).double().square().mean((0, 1))
    response = power.sqrt().cpu().numpy()
    height = 3 if layer.dims == 1 else 5
    figure = Figure(figsize=(6, height), layout="constrained")
    title = f"{type(layer).__name__}: response to one input pixel"
    axes = figure.add_subplot(title=title)
    if layer.dims == 1:
        draw_response_bars(axes, response, layer.scale_factor)
    else:
        image = draw_response_image(axes, response, layer.scale_factor)
        figure.colorbar(image, label="root mean square over channels")
    return figure


def draw_response_bars(axes: Axes, response: NDArray[np.float64], scale_factor: int) -> None:
    """Draw a response (L,) as bars, counted from the first output pixel that lies on the bright one."""
    start = (len(response) - scale_factor) // 2
    end = len(response) - start
    for phase in range(scale_factor):
        positions = range(phase - start, end, scale_factor)
        heights = response[phase::scale_factor]
        axes.bar(positions, heights, label=f"phase {phase}")
    axes.legend()
    axes.set_xlabel("output pixel from the bright one")
    axes.set_ylabel("root mean square over channels")


def draw_response_image(axes: Axes, response: NDArray[np.float64], scale_factor: int) -> AxesImage:
    """Draw a response (L, L) as an image, and frame the output pixels that lie on the bright one."""
    start = (len(response) - scale_factor) // 2
    # a pixel is as wide as 1, and its number is in its middle
    first = -start - 0.5
    last = len(response) - start - 0.5
    extent = (first, last, last, first)
    image = axes.imshow(response, cmap="magma", extent=extent)
    near, far = -0.5, scale_factor - 0.5
    across = [near, far, far, near, near]
    down = [near, near, far, far, near]
    axes.plot(across, down, "c")
    axes.set_xlabel("output column")
    axes.set_ylabel("output row")
    return image


def draw_receptive_fields(layer: UpsamplingLayer) -> Figure:
    """Draw for each phase the input pixels that it reads, with a cross on the pixel that the phase lies on.

    Args:
        layer: A 1-D or 2-D layer.

    Returns:
        The picture, with one panel for each phase.

    Raises:
        ValueError: The layer is 3-D.
    """
    check_flat(layer)
    masks = receptive_masks(layer)
    # the panels lie as the phases do in the output
    columns = layer.scale_factor
    rows = columns ** (layer.dims - 1)
    width = 2.4 * columns
    height = width if layer.dims == 2 else 2
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(f"{type(layer).__name__}: input pixels that each phase reads")
    for index, phase in enumerate(phases(layer.dims, layer.scale_factor)):
        mask = masks[phase].cpu().numpy()
        # a 1-D mask is drawn as an image of one row
        image = mask.reshape(-1, len(mask))
        title = f"phase {phase}: {mask.sum()} pixels"
        axes = figure.add_subplot(rows, columns, index + 1, title=title)
        draw_mask(axes, image)
    return figure


def draw_mask(axes: Axes, mask: NDArray[np.bool_]) -> None:
    """Draw the pixels that are read, counted from the middle."""
    rows, columns = mask.shape
    down, across = rows / 2, columns / 2
    extent = (-across, across, down, -down)
    colours = ListedColormap(["white", "tab:orange"])
    # the limits are given, as a mask may be all true
    axes.imshow(mask, cmap=colours, vmin=0, vmax=1, extent=extent)
    axes.plot(0, 0, "k+")
    axes.set_xticks([])
    axes.set_yticks([])


def check_flat(layer: UpsamplingLayer) -> None:
    """Check that a layer can be drawn; raise ValueError for a 3-D layer."""
    if layer.dims > 2:
        raise ValueError(f"pictures are of 1-D and 2-D layers, got {layer.dims}-D")
