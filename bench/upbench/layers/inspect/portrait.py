"""All that can be said of a layer before it is trained, phase by phase, as rows and as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from upbench.layers.base import UpsamplingLayer
from upbench.layers.inspect.analysis import checkerboard_score, dependencies, phase_gains, receptive_fields
from upbench.layers.inspect.pictures import draw_dependencies, draw_impulse_response, draw_receptive_fields
from upbench.layers.phases import Phase

PICTURES = {
    "dependencies": draw_dependencies,
    "receptive_fields": draw_receptive_fields,
    "impulse_response": draw_impulse_response,
}


@dataclass(frozen=True)
class PhaseRow:
    """What is said of one phase.

    Attributes:
        phase: The phase.
        sees: What the convolution that makes the phase is given.
        pixels: How many pixels of the input the phase reads.
        gain: The root mean square over channels of the phase's answer to a constant of 1.
    """

    phase: Phase
    sees: str
    pixels: int
    gain: float


@dataclass(frozen=True)
class Portrait:
    """What is said of a layer.

    Attributes:
        parameters: How many numbers the layer learns.
        multiply_adds: Multiply-adds for one input pixel.
        checkerboard: The score of `analysis.checkerboard_score`.
        phases: One row for each phase, in row-major order.
    """

    parameters: int
    multiply_adds: int
    checkerboard: float
    phases: tuple[PhaseRow, ...]


def portray(layer: UpsamplingLayer) -> Portrait:
    """Measure a layer with the weights it has.

    Args:
        layer: The layer.

    Returns:
        What can be said of it.

    Raises:
        ValueError: The layer reads pixels farther away than `analysis.FARTHEST`.
    """
    fields = receptive_fields(layer)
    gains = phase_gains(layer)
    graph = dependencies(layer)
    rows = []
    for phase, gain in gains.items():
        sees = ", ".join(map(str, graph[phase]))
        pixels = fields[phase].pixels
        power = gain.square().mean()
        rows.append(PhaseRow(phase, sees, pixels, power.sqrt().item()))
    parameters = sum(parameter.numel() for parameter in layer.parameters())
    return Portrait(
        parameters=parameters,
        multiply_adds=layer.multiply_adds(),
        checkerboard=checkerboard_score(layer),
        phases=tuple(rows),
    )


def draw(layer: UpsamplingLayer, folder: Path) -> list[Path]:
    """Draw a layer as three pictures.

    Args:
        layer: A 1-D or 2-D layer.
        folder: Where the pictures are written, as NAME.png; it is made if it does not exist.

    Returns:
        The paths of the pictures.

    Raises:
        ValueError: The layer is 3-D; nothing is then written.
        OSError: The pictures cannot be written.
    """
    # all are drawn before the first is written, so that a layer that cannot be drawn leaves no folder
    figures = {name: picture(layer) for name, picture in PICTURES.items()}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=150)
        paths.append(path)
    return paths
