"""How every picture looks: one colour and marker a layer, everywhere, told apart by colour-blind readers too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from bench.layers import LAYERS

# Okabe and Ito, Color Universal Design (2008), without yellow and black, which vanish on white and among text
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
REAL = "#444444"  # real images
CLASSES = ("#2C5F8A", "#D8C98F", "#7FD0E8", "#A0522D", "#6B8E23", "#F2A65A",
           "#8A6FB0", "#C0C0C0", "#E36B6B", "#3D3D3D", "#F5E663", "#94D2A1")  # fmt: skip
VOID_COLOUR = "#FFFFFF"


LINES = ("-", "--", ":", "-.", (0, (3, 1, 1, 1, 1, 1)))  # layers of one colour, told apart where lines are drawn


def colour(layer: str) -> str:
    """By the place in the registry of the name that a layer's label begins with: the same in every picture."""
    return COLOURS[_place(layer) % len(COLOURS)]


def line(layer: str, layers: Sequence[str]) -> Any:
    """Solid for the first of the labels that share a colour, then the next pattern for the next."""
    kin = [label for label in layers if colour(label) == colour(layer)]
    return LINES[kin.index(layer) % len(LINES)]


def face(layer: str, layers: Sequence[str]) -> str:
    """What fills a marker: the layer's colour for the first of the labels that share a name, white for the others."""
    first = next(label for label in layers if label.split()[0] == layer.split()[0])
    return colour(layer) if layer == first else "white"


def marker(layer: str) -> str:
    """One more marker than there are colours, so that no two of the first 42 layers look alike."""
    return MARKERS[_place(layer) % len(MARKERS)]


def _place(layer: str) -> int:
    names, name = list(LAYERS), layer.split()[0]
    return names.index(name) if name in names else len(names)


@contextmanager
def figure_style() -> Iterator[None]:
    """White ground, light grid, no box; drawn off screen."""
    rc: Any = {"figure.dpi": 150, "savefig.dpi": 150, "axes.spines.top": False, "axes.spines.right": False,
          "axes.titlesize": "medium", "figure.titlesize": "large", "legend.frameon": False}  # fmt: skip
    with mpl.rc_context(), sns.axes_style("whitegrid"), mpl.rc_context(rc):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Inches; laid out so that nothing overlaps or is cut off."""
    return Figure(figsize=(width, height), layout="constrained")


def legend(figure: Figure, shown: Mapping[str, Any], most: int = 5) -> None:
    """Labels and their handles below the figure, in as many columns as fit its width, at most so many."""
    widest = 0.6 + 0.085 * max(map(len, shown), default=0)  # inches: the handle, then about so much a letter
    columns = max(1, min(most, int(figure.get_figwidth() / widest)))
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=columns)


def shared_legend(figure: Figure) -> None:
    """One legend of what any panel shows."""
    shown: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    legend(figure, shown)
