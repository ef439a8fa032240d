"""All that can be said of a layer before it is trained, phase by phase, as rows and as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.layers.analysis import checkerboard_score, dependencies, phase_gains, receptive_fields
from bench.layers.base import UpsamplingLayer
from bench.layers.phases import Phase
from bench.layers.pictures import draw_dependencies, draw_impulse_response, draw_receptive_fields

PICTURES = {
    "dependencies": draw_dependencies,
    "receptive_fields": draw_receptive_fields,
    "impulse_response": draw_impulse_response,
}


@dataclass(frozen=True)
class PhaseRow:
    """sees: what its convolution is given. pixels: of the input, that it reads. gain: rms answer to a constant."""

    phase: Phase
    sees: str
    pixels: int
    gain: float


@dataclass(frozen=True)
class Portrait:
    """parameters; multiply-adds for one input pixel; the checkerboard score of `analysis.checkerboard_score`."""

    parameters: int
    multiply_adds: int
    checkerboard: float
    phases: tuple[PhaseRow, ...]


def portray(layer: UpsamplingLayer) -> Portrait:
    """Measure the layer as it is initialised."""
    fields, gains, graph = receptive_fields(layer), phase_gains(layer), dependencies(layer)
    rows = (
        PhaseRow(phase, ", ".join(map(str, graph[phase])), fields[phase].pixels, gain.square().mean().sqrt().item())
        for phase, gain in gains.items()
    )
    parameters = sum(parameter.numel() for parameter in layer.parameters())
    return Portrait(parameters, layer.multiply_adds(), checkerboard_score(layer), tuple(rows))


def draw(layer: UpsamplingLayer, folder: Path) -> list[Path]:
    """Draw the 1-D or 2-D layer into folder/NAME.png. Raises ValueError for a 3-D layer, OSError if it cannot write."""
    figures = {name: picture(layer) for name, picture in PICTURES.items()}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=150)
    return paths
