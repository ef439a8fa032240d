"""What the tasks share: measurements, building a cell's network, and checking that a grid's cell can be built."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench import layers
from bench.cell import Cell
from bench.errors import Diverged
from bench.metrics import METRICS
from bench.metrics.base import Better, Compared, Metric
from bench.models import MODELS
from bench.models.base import Network

AnyModule = TypeVar("AnyModule", bound=nn.Module)
Varies = Literal["never", "seed", "machine"]

VALIDATION = "val_"  # before the name of a metric: its value on the validation split, for tuning
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


@dataclass(frozen=True)
class Measurement:
    """One number of a cell. varies: with nothing, with the cell's seed, or with the mood of the machine as well."""

    metric: str
    value: float
    unit: str
    better: Better
    varies: Varies = "seed"


@dataclass(frozen=True)
class Result:
    """What a cell leaves. arrays: pictures and spectra for the figures. raw: samples and curves, plain JSON.

    compared, facts: what `evaluate` was given, kept on request so that any metric can be computed again.
    """

    measurements: list[Measurement]
    arrays: Mapping[str, NDArray] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    compared: Compared = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """The contract of a task, see `bench.tasks`."""

    roles: ClassVar[frozenset[str]]
    needs_data: ClassVar[bool]
    exclusive: ClassVar[bool]

    def measures(self) -> tuple[str, ...]: ...

    def check(self, cell: Cell) -> None: ...

    def run(self, cell: Cell, folder: Path | None) -> Result: ...


def build_network(cell: Cell, in_channels: int, out_channels: int, size: int) -> Network:
    """The cell's network with the cell's layer, seeded, on the cell's device, in the cell's memory format.

    Raises ValueError for numbers the layer or the network cannot be built with.
    """
    torch.manual_seed(cell.seed)
    network = _assemble(cell, in_channels, out_channels, size)
    return place(network, cell, network.dims)


def check_network(cell: Cell, in_channels: int, out_channels: int, size: int, *, dims: tuple[int, ...] = (2,)) -> None:
    """Build the network without memory or arithmetic; raises what `build_network` raises.

    Raises ValueError as well for a network of other spatial dimensions than `dims`, those of the task's data.
    """
    with torch.device("meta"):
        network = _assemble(cell, in_channels, out_channels, size)
    if network.dims not in dims:
        wanted = " or ".join(map(str, dims))
        raise ValueError(f"task {cell.task.name!r} needs dims = {wanted}, got {network.dims}")
    layout(cell, network.dims)


def _assemble(cell: Cell, in_channels: int, out_channels: int, size: int) -> Network:
    up = partial(layers.build, cell.layer.name, **cell.layer.options)
    return MODELS.build(cell.model.name, up, in_channels, out_channels, size, **cell.model.options)


def place(network: AnyModule, cell: Cell, dims: int = 2) -> AnyModule:
    """The network of `dims` spatial dimensions on the cell's device, in its memory format, compiled if it says so."""
    network = network.to(cell.device).to(memory_format=layout(cell, dims))  # type: ignore[call-overload]
    if cell.compile:
        network.compile()
    return network


def layout(cell: Cell, dims: int) -> torch.memory_format:
    """The cell's memory format for tensors (N, C, *S) of `dims` spatial dimensions; for (N, C) there is but one.

    Raises ValueError for channels_last in one dimension, which torch does not have.
    """
    if cell.memory_format == "contiguous" or dims == 0:
        return torch.contiguous_format
    if dims not in CHANNELS_LAST:
        raise ValueError(f"memory_format {cell.memory_format!r} needs 2 or 3 dimensions, got {dims}")
    return CHANNELS_LAST[dims]


def autocast(cell: Cell) -> AbstractContextManager[Any]:
    """bf16 autocast if the cell asks for it."""
    return torch.autocast(cell.device, torch.bfloat16, enabled=cell.precision == "bf16")


def evaluate(names: Iterable[str], compared: Compared, **facts: Any) -> list[Measurement]:
    """The named metrics on what each kind compares; facts: what `bench.metrics.base.Metric` says a metric may ask for.

    A name such as val_mean_iou is that metric on what "val_masks" compares.
    A member without a value, such as the IoU of a class that is nowhere, is left out. Raises Diverged for any other
    value that is not a finite number.
    """
    measurements = []
    for name in names:
        metric = find_metric(name)
        for title, value in metric.measure(name, *compared[kind(name)], **facts).items():
            if not math.isfinite(value):
                raise Diverged(f"{title} is {value}")
            measurements.append(Measurement(title, value, metric.unit, metric.better))
    return measurements


def find_metric(name: str, where: str = "") -> Metric:
    """The metric of that name, or of what follows `val_` in it. Raises UserError for an unknown one."""
    return METRICS.get(name.removeprefix(VALIDATION), where)


def kind(name: str) -> str:
    """What the metric compares, "masks" for one, and "val_masks" if its name begins with `val_`."""
    return (VALIDATION if name.startswith(VALIDATION) else "") + find_metric(name).compares


def measured(names: Iterable[str]) -> tuple[str, ...]:
    """What `evaluate` measures for these metrics, `iou[*]` standing for names that only the data know."""
    return tuple(title for name in names for title in find_metric(name).measures(name))


def check_metrics(names: tuple[str, ...], kinds: set[str], where: str) -> None:
    """Raises UserError for an unknown metric, ValueError for one that compares what the task does not make."""
    for name in names:
        METRICS.module(name, where)
        if METRICS.get(name).compares not in kinds:
            raise ValueError(f"metric {name!r} compares {METRICS.get(name).compares}, {where} makes {sorted(kinds)}")


def check_positive(**numbers: float) -> None:
    """Raises ValueError, naming it, for a number that is not above zero."""
    for name, value in numbers.items():
        if value <= 0:
            raise ValueError(f"{name} must be above 0, got {value}")


def to_uint8(images: torch.Tensor) -> NDArray[np.uint8]:
    """(N, C, H, W) in [0, 1] -> (N, H, W, C) in 0 .. 255."""
    return (images.float().clamp(0, 1) * 255).round().to(torch.uint8).movedim(1, -1).cpu().numpy()
