"""What a task is, how its network is built and checked, and how its metrics are evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from upbench import layers
from upbench.cell import Cell
from upbench.data.base import DataShape
from upbench.errors import Diverged
from upbench.measurement import VALIDATION, Measurement
from upbench.metrics import METRICS
from upbench.metrics.base import Compared, Metric
from upbench.models import MODELS
from upbench.models.base import Network, Size

AnyModule = TypeVar("AnyModule", bound=nn.Module)

CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
ASSUMED_SIDE = 2**16  # a side that every network can halve as often as it wants


@dataclass(frozen=True)
class Result:
    """What a cell leaves.

    Attributes:
        measurements: the figures of the tables.
        arrays: pictures and spectra for the figures.
        raw: samples and curves, as plain JSON.
        compared: the arrays that the metrics compared, kept on request so that any metric can be computed again.
        facts: what the metrics were told of the data besides, kept with `compared`.
    """

    measurements: list[Measurement]
    arrays: Mapping[str, NDArray] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    compared: Compared = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """The contract of a task: a frozen dataclass of its options.

    Attributes:
        roles: the roles of the networks that the task can use, see `upbench.models`.
        needs_data: whether its cells have a data set. They must have one then, and none otherwise.
        exclusive: whether its figures are wrong if another cell runs beside it.
        also_evaluates: metrics that the task evaluates besides those of its option `metrics`, if it has one. It is
            a tuple written out in the class's body: it is read there without importing the class.
    """

    roles: ClassVar[frozenset[str]]
    needs_data: ClassVar[bool]
    exclusive: ClassVar[bool]
    also_evaluates: ClassVar[tuple[str, ...]]

    def measures(self) -> tuple[str, ...]:
        """The names of what the task measures, with `[*]` for members that only the data name."""
        ...

    def check(self, cell: Cell, shape: DataShape | None) -> None:
        """Check that the cell can be run on data of this shape. None: it cannot be known yet, or there are no data.

        Raises ValueError or UserError for a cell that cannot.
        """
        ...

    def run(self, cell: Cell, folder: Path | None) -> Result:
        """Run one cell, whose data lie below the folder."""
        ...


def build_network(cell: Cell, in_channels: int, out_channels: int, size: Size) -> Network:
    """Build the cell's network with the cell's layer, seeded, on the cell's device, in the cell's memory format.

    Args:
        cell: the cell.
        in_channels: channels of the input.
        out_channels: channels of the output.
        size: one side of the images for all dimensions, or one side a dimension.

    Raises:
        ValueError: for numbers the layer or the network cannot be built with.
    """
    # a common start: what a network draws before its first layer is the same for all layers
    torch.manual_seed(cell.seed)
    network = _assemble(cell, in_channels, out_channels, size)
    return place_network(network, cell, network.dims)


def check_network(cell: Cell, in_channels: int, out_channels: int, size: Size, *, dims: tuple[int, ...] = (2,)) -> None:
    """Check that `build_network` can build the cell's network, without memory or arithmetic.

    Args:
        cell: the cell.
        in_channels: channels of the input.
        out_channels: channels of the output.
        size: one side of the images for all dimensions, or one side a dimension.
        dims: the numbers of spatial dimensions that the task's data can have.

    Raises:
        ValueError: if it cannot, and for a network of other spatial dimensions than `dims`.
    """
    with torch.device("meta"):
        network = _assemble(cell, in_channels, out_channels, size)
    if network.dims not in dims:
        wanted = " or ".join(map(str, dims))
        raise ValueError(f"task {cell.task.name!r} needs dims = {wanted}, got {network.dims}")
    find_memory_format(cell, network.dims)  # for its refusal


def assume_shape(cell: Cell) -> DataShape:
    """The shape that the network is checked with where that of the data cannot be known yet.

    It can be wrong, but no cell is refused for it that could be run.
    """
    side = ASSUMED_SIDE
    options = cell.data.options if cell.data else {}
    known = options.get("size")
    # the sets of the suite call the side of their squares so
    if isinstance(known, int) and known > 0:
        side = known
    return DataShape(side, side, channels=3, classes=2)


def _assemble(cell: Cell, in_channels: int, out_channels: int, size: Size) -> Network:
    """The cell's network as its class makes it."""
    up = partial(layers.build, cell.layer.name, **cell.layer.options)
    return MODELS.build(
        cell.model.name,
        up,
        in_channels,
        out_channels,
        size,
        **cell.model.options,
    )


def place_network(network: AnyModule, cell: Cell, dims: int = 2) -> AnyModule:
    """Bring a network of `dims` spatial dimensions to the cell's device and memory format; compile it if asked to."""
    memory_format = find_memory_format(cell, dims)
    network = network.to(cell.device)
    network = network.to(memory_format=memory_format)  # type: ignore[call-overload]
    if cell.compile:
        network.compile()
    return network


def find_memory_format(cell: Cell, dims: int) -> torch.memory_format:
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
    """Evaluate metrics.

    Args:
        names: the metrics. A name such as val_mean_iou is that metric on what "val_masks" compares.
        compared: the pairs of arrays that the metrics compare, by `find_compared_key`.
        facts: what `upbench.metrics.base.Metric` says a metric may ask for.

    Returns:
        One measurement for each metric, or for each of its members. A member without a value, such as the IoU of a
        class that is nowhere, is left out.

    Raises:
        Diverged: for any other value that is not a finite number.
    """
    measurements = []
    for name in names:
        metric = find_metric(name)
        ours, reference = compared[find_compared_key(name)]
        values = metric.measure(name, ours, reference, **facts)
        for title, value in values.items():
            if not math.isfinite(value):
                raise Diverged(f"{title} is {value}")
            measurement = Measurement(title, value, metric.unit, metric.better)
            measurements.append(measurement)
    return measurements


def find_metric(name: str, where: str = "") -> Metric:
    """The metric of that name, or of what follows `val_` in it. Raises UserError for an unknown one."""
    return METRICS.get(name.removeprefix(VALIDATION), where)


def find_compared_key(name: str) -> str:
    """Where the metric's arrays are among those compared: "masks" for one, "val_masks" if its name begins so."""
    compares = find_metric(name).compares
    if name.startswith(VALIDATION):
        return VALIDATION + compares
    return compares


def list_measures(names: Iterable[str]) -> tuple[str, ...]:
    """The names of what `evaluate` measures for these metrics, with `[*]` for members that only the data name."""
    titles: list[str] = []
    for name in names:
        titles += find_metric(name).measures(name)
    return tuple(titles)


def select_comparable(names: Iterable[str], compared: Compared) -> tuple[str, ...]:
    """Those of the metrics whose arrays are there: without a validation split there are none for `val_...`."""
    return tuple(name for name in names if find_compared_key(name) in compared)


def check_metrics(names: Iterable[str], made: set[str], where: str) -> None:
    """Check that a task can evaluate its metrics.

    Args:
        names: the metrics.
        made: what the task makes for metrics to compare, such as "masks".
        where: the task, as the refusal names it.

    Raises:
        UserError: for an unknown metric.
        ValueError: for a metric that compares what the task does not make.
    """
    for name in names:
        compares = METRICS.get(name, where).compares
        if compares not in made:
            raise ValueError(f"metric {name!r} compares {compares}, {where} makes {sorted(made)}")


def check_positive(**numbers: float) -> None:
    """Raises ValueError, which names it, for a number that is not above zero."""
    for name, value in numbers.items():
        if value <= 0:
            raise ValueError(f"{name} must be above 0, got {value}")


def to_uint8(images: torch.Tensor) -> NDArray[np.uint8]:
    """(N, C, H, W) in [0, 1] -> (N, H, W, C) in 0 .. 255."""
    scaled = images.float().clamp(0, 1) * 255
    whole = scaled.round().to(torch.uint8)
    return whole.movedim(1, -1).cpu().numpy()
