"""Pictures of a layer, like the figures of the PixelDCL paper: which phase sees which, and what one pixel becomes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from bench.layers.analysis import dependencies, impulse_response, receptive_masks
from bench.layers.base import UpsamplingLayer
from bench.layers.phases import Phase, phases


def draw_dependencies(layer: UpsamplingLayer) -> Figure:
    """The 1-D or 2-D layer as a graph: input on the left, then the phases in the order of what they see.

    An arrow goes from what is seen to the phase that sees it. Raises ValueError for a 3-D layer.
    """
    check_flat(layer)
    graph = dependencies(layer)
    column: dict[object, int] = {"input": 0}
    for phase, sources in graph.items():
        column[phase] = 1 + max(column[source] for source in sources)
    rows: dict[object, float] = {}
    for index in range(max(column.values()) + 1):
        nodes = [node for node, at in column.items() if at == index]
        rows |= {node: (len(nodes) - 1) / 2 - row for row, node in enumerate(nodes)}
    figure = Figure(
        figsize=(1.9 * (max(column.values()) + 1), 1.2 + max(map(abs, rows.values())) * 1.6), layout="constrained"
    )
    axes = figure.add_subplot(title=f"{type(layer).__name__}: what each phase sees")
    for phase, sources in graph.items():
        for source in sources:
            arrow(axes, (column[source], rows[source]), (column[phase], rows[phase]))
    for node in column:
        label = node if isinstance(node, str) else f"phase\n{node}"
        axes.text(
            column[node], rows[node], label, ha="center", va="center", bbox={"boxstyle": "round", "facecolor": "white"}
        )
    axes.set(xlim=(-0.5, max(column.values()) + 0.5), ylim=(min(rows.values()) - 1.3, max(rows.values()) + 0.7))
    axes.set_axis_off()
    return figure


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A bent arrow, so that those which skip a column do not hide behind its node."""
    bend = 0.0 if end[0] - start[0] == 1 else 0.3
    style = {"arrowstyle": "->", "color": "0.4", "shrinkA": 22, "shrinkB": 22, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, start, arrowprops=style)


def draw_impulse_response(layer: UpsamplingLayer) -> Figure:
    """The root mean square over channels of the response to one bright pixel, of the 1-D or 2-D layer.

    In 1-D one bar an output pixel, coloured by phase; in 2-D the image, the bright pixel framed.
    Raises ValueError for a 3-D layer.
    """
    check_flat(layer)
    response = impulse_response(layer).double().square().mean((0, 1)).sqrt().cpu().numpy()
    figure = Figure(figsize=(6, 3 if layer.dims == 1 else 5), layout="constrained")
    axes = figure.add_subplot(title=f"{type(layer).__name__}: response to one input pixel")
    factor = layer.factor
    start = (len(response) - factor) // 2
    if layer.dims == 1:
        for phase in range(factor):
            axes.bar(
                range(phase - start, len(response) - start, factor), response[phase::factor], label=f"phase {phase}"
            )
        axes.legend()
        axes.set(xlabel="output pixel from the bright one", ylabel="root mean square over channels")
    else:
        side = len(response) - start - 0.5
        image = axes.imshow(response, cmap="magma", extent=(-start - 0.5, side, side, -start - 0.5))
        axes.plot([-0.5, factor - 0.5, factor - 0.5, -0.5, -0.5], [-0.5, -0.5, factor - 0.5, factor - 0.5, -0.5], "c")
        axes.set(xlabel="output column", ylabel="output row")
        figure.colorbar(image, label="root mean square over channels")
    return figure


def draw_receptive_fields(layer: UpsamplingLayer) -> Figure:
    """For each phase of the 1-D or 2-D layer, the input pixels it reads. Raises ValueError for a 3-D layer."""
    check_flat(layer)
    masks = receptive_masks(layer)
    figure = Figure(figsize=(2.4 * layer.factor, 2.4 * layer.factor if layer.dims == 2 else 2), layout="constrained")
    figure.suptitle(f"{type(layer).__name__}: input pixels that each phase reads")
    order: list[Phase] = phases(layer.dims, layer.factor)
    for index, phase in enumerate(order):
        mask = masks[phase].cpu().numpy().reshape(-1, len(masks[phase]))
        axes = figure.add_subplot(
            len(order) // layer.factor, layer.factor, index + 1, title=f"phase {phase}: {mask.sum()} pixels"
        )
        rows, columns = (side / 2 for side in mask.shape)
        axes.imshow(
            mask, cmap=ListedColormap(["white", "tab:orange"]), vmin=0, vmax=1, extent=(-columns, columns, rows, -rows)
        )
        axes.plot(0, 0, "k+")
        axes.set(xticks=[], yticks=[])
    return figure


def check_flat(layer: UpsamplingLayer) -> None:
    if layer.dims > 2:
        raise ValueError(f"pictures are of 1-D and 2-D layers, got {layer.dims}-D")
