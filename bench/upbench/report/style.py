"""How every picture looks: one colour and marker a layer, everywhere, told apart by colour-blind readers too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from upbench.layers import LAYERS

# Okabe and Ito, Color Universal Design (2008), without yellow and black, which vanish on white and among text
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
# one more than there are colours, so that no two of the first 42 layers look alike
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# layers of one colour are told apart by these where lines are drawn
LINES = ("-", "--", ":", "-.", (0, (3, 1, 1, 1, 1, 1)))
REAL = "#444444"  # real images
CLASSES = ("#2C5F8A", "#D8C98F", "#7FD0E8", "#A0522D", "#6B8E23", "#F2A65A",
           "#8A6FB0", "#C0C0C0", "#E36B6B", "#3D3D3D", "#F5E663", "#94D2A1")  # fmt: skip
VOID_COLOUR = "#FFFFFF"

STYLE: Any = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "figure.titlesize": "large",
    "legend.frameon": False,
}
HANDLE_WIDTH = 0.6  # inches that the handle of a legend's entry takes
LETTER_WIDTH = 0.085  # inches that a letter of a legend's entry takes, about


@dataclass(frozen=True)
class Palette:
    """The look of each layer in all pictures of a run.

    Attributes:
        places: the place of each layer's name, which decides its colour and marker.
    """

    places: Mapping[str, int]

    def colour(self, label: str) -> str:
        """The colour of a layer by its label, which begins with the layer's name."""
        place = self._place(label)
        return COLOURS[place % len(COLOURS)]

    def marker(self, label: str) -> str:
        """The marker of a layer by its label."""
        place = self._place(label)
        return MARKERS[place % len(MARKERS)]

    def line(self, label: str, labels: Sequence[str]) -> Any:
        """The line of a layer among these: solid for the first of a colour, then the next pattern for the next."""
        colour = self.colour(label)
        same_colour = [other for other in labels if self.colour(other) == colour]
        place = same_colour.index(label)
        return LINES[place % len(LINES)]

    def marker_face(self, label: str, labels: Sequence[str]) -> str:
        """What fills a marker: the colour for the first of these labels that share a name, white for the others."""
        name = _name(label)
        first = next(other for other in labels if _name(other) == name)
        if label == first:
            return self.colour(label)
        return "white"

    def _place(self, label: str) -> int:
        name = _name(label)
        return self.places[name]


def choose_palette(labels: Iterable[str]) -> Palette:
    """The palette of a run whose layers have these labels.

    A registered layer has its place in the registry, so that it looks the same in every run. The others follow in the
    order of their first label.
    """
    names = list(LAYERS)
    for label in labels:
        name = _name(label)
        if name not in names:
            names.append(name)
    places = {name: place for place, name in enumerate(names)}
    return Palette(places)


def _name(label: str) -> str:
    """The layer's name that a label begins with, without the options that follow."""
    return label.split()[0]


@contextmanager
def figure_style() -> Iterator[None]:
    """White ground, light grid, no box; drawn off screen."""
    with mpl.rc_context(), sns.axes_style("whitegrid"), mpl.rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, laid out so that nothing overlaps or is cut off."""
    return Figure(figsize=(width, height), layout="constrained")


def add_legend(figure: Figure, handles: Mapping[str, Any], most: int = 5) -> None:
    """Add labels and their handles below the figure, in as many columns as fit its width, at most so many."""
    longest = max(map(len, handles), default=0)
    widest = HANDLE_WIDTH + LETTER_WIDTH * longest
    fitting = int(figure.get_figwidth() / widest)
    columns = max(1, min(most, fitting))
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=columns,
    )


def add_shared_legend(figure: Figure) -> None:
    """Add one legend of what any panel shows."""
    shared: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        shared |= dict(zip(labels, handles, strict=True))
    add_legend(figure, shared)
