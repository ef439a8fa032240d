"""Time, memory, parameters and FLOPs of a network, beside the same network with a transposed convolution."""

from __future__ import annotations

import copy
import dataclasses
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.cell import Cell, Spec
from bench.layers import LAYERS, REFERENCE
from bench.layers.base import UpsamplingLayer
from bench.models.base import Network
from bench.tasks import TASKS
from bench.tasks.base import Measurement, Result, autocast, build_network, check_network, check_positive, layout
from bench.tasks.memory import allocator_peak, bytes_moved
from bench.tasks.timing import time_interleaved

LEARNING_RATE = 1e-3
UNITS = {
    "forward_time": "s",
    "train_time": "s",
    "forward_peak": "B",
    "train_peak": "B",
    "forward_peak_outputs": "x output",
    "train_peak_outputs": "x output",
    "bytes_moved": "B",
    "parameters": "1",
    "flops": "FLOP",
}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Forward pass and training step of the cell's network and of its twin with the reference layer.

    forward: evaluation mode, no gradients. train: forward, backward and a step of SGD; the input takes a gradient if
    the network is a bare layer, which in use lies in mid-network. Input: white, `batch` of what the network takes:
    (in_channels, side, side), in another number of dimensions if the model's `dims` says so, or the codes of a
    generative adversarial network, of which only the generator is timed: its discriminator holds no layer.
    The two are timed in turn in `blocks` blocks of random order which share about `seconds` for each of the two modes.
    Every metric comes also as `*_ratio` to the twin; that of a time is the median of the blocks' ratios.
    The process is the replicate: use several seeds, not more blocks.
    """

    batch: int = 4
    side: int = 64
    in_channels: int = 64
    out_channels: int = 64
    blocks: int = 7
    seconds: float = 1.0

    roles: ClassVar[frozenset[str]] = frozenset({"layer", "dense", "autoencoder", "gan"})
    needs_data: ClassVar[bool] = False
    exclusive: ClassVar[bool] = True

    def measures(self) -> tuple[str, ...]:
        return (*UNITS, *(f"{name}_ratio" for name in UNITS))

    def check(self, cell: Cell) -> None:
        check_positive(batch=self.batch, side=self.side, blocks=self.blocks, seconds=self.seconds)
        check_network(cell, self.in_channels, self.out_channels, self.side, dims=(1, 2, 3))

    def run(self, cell: Cell, folder: Path | None) -> Result:
        reference = dataclasses.replace(cell, layer=Spec(REFERENCE, LAYERS.complete(REFERENCE, {})))
        subjects = {"layer": prepare(cell), "reference": prepare(reference)}
        values = {name: costs(subject) for name, subject in subjects.items()}
        steps: dict[str, dict[str, Callable[[], object]]] = {
            "forward": {name: subject.forward for name, subject in subjects.items()},
            "train": {name: subject.train for name, subject in subjects.items()},
        }
        order = random.Random(cell.seed)
        samples = {mode: time_interleaved(steps[mode], self.blocks, self.seconds, order) for mode in steps}
        return Result(
            [*_times(samples), *_costs(values["layer"], values["reference"])],
            raw={"seconds": samples},
        )


@dataclass(frozen=True)
class Subject:
    """A speed cell made ready: its network, its input, and the two steps that are timed."""

    cell: Cell
    network: Network
    x: Tensor
    forward: Callable[[], object]
    train: Callable[[], None]


def prepare(cell: Cell) -> Subject:
    """Build the network and the white input of a speed cell."""
    task: Speed = TASKS.build(cell.task.name, **cell.task.options)
    network = build_network(cell, task.in_channels, task.out_channels, task.side)
    x = torch.randn(task.batch, *network.input_shape, device=cell.device)
    x = x.contiguous(memory_format=layout(cell, x.ndim - 2))
    return Subject(cell, network, x, forward_pass(network, x, cell), training_step(copy.deepcopy(network), x, cell))


def costs(subject: Subject) -> dict[str, float]:
    """What a network costs besides time; none of it varies from run to run. Units as in `UNITS`."""
    device = subject.cell.device
    peaks = {"forward": allocator_peak(subject.forward, device), "train": allocator_peak(subject.train, device)}
    with torch.inference_mode(), autocast(subject.cell):
        output = subject.network.eval()(subject.x)
    output = output[0] if isinstance(output, tuple) else output
    size = output.numel() * output.element_size()
    return {
        **{f"{mode}_peak": peak for mode, peak in peaks.items()},
        **{f"{mode}_peak_outputs": peak / size for mode, peak in peaks.items()},
        "bytes_moved": bytes_moved(subject.forward),
        "parameters": sum(parameter.numel() for parameter in subject.network.parameters()),
        "flops": forward_flops(subject.network, subject.x),
    }


def forward_pass(network: Network, x: Tensor, cell: Cell) -> Callable[[], object]:
    """The forward pass in evaluation mode without gradients, as a function without arguments."""
    network.eval()

    def step() -> object:
        with torch.inference_mode(), autocast(cell):
            output = network(x)
        _synchronise(cell)
        return output

    return step


def training_step(network: Network, x: Tensor, cell: Cell) -> Callable[[], None]:
    """Forward, backward and one step of plain SGD, as a function without arguments; the loss is the mean square output.

    The update is written out: constructing any torch.optim optimiser imports the compiler, seconds in each process.
    """
    network.train()
    parameters: list[Tensor] = list(network.parameters())
    x = x.clone().requires_grad_(network.role == "layer")
    wanted = [*parameters, x] if x.requires_grad else parameters

    def step() -> None:
        with autocast(cell):
            outputs = network(x)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = torch.stack([output.float().square().mean() for output in outputs]).sum()
        # not .backward(): gradients kept in .grad would be freed by the next step, see allocator_peak
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        steered = [index for index in range(len(parameters)) if gradients[index] is not None]
        with torch.no_grad():
            torch._foreach_add_(
                [parameters[index] for index in steered], [gradients[index] for index in steered], alpha=-LEARNING_RATE
            )
        _synchronise(cell)

    return step


def forward_flops(network: Network, x: Tensor) -> int:
    """FLOPs of one forward pass, a multiply-add counted as two.

    Convolutions and matrix products are counted as they run, what up-sampling layers do besides by their own formula;
    normalisation, activation and pooling count as 0.
    """
    uncounted = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal uncounted
        if isinstance(layer, UpsamplingLayer):
            uncounted += 2 * layer.uncounted_multiply_adds() * inputs[0][:, 0].numel()

    hooks = [module.register_forward_hook(add) for module in network.modules() if isinstance(module, UpsamplingLayer)]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(x)
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() + uncounted


def _synchronise(cell: Cell) -> None:
    if cell.device == "cuda":
        torch.cuda.synchronize()


def _times(samples: dict[str, dict[str, list[list[float]]]]) -> list[Measurement]:
    measurements = []
    for mode, blocks in samples.items():
        median = statistics.median(second for block in blocks["layer"] for second in block)
        ratios = [
            statistics.median(ours) / statistics.median(theirs)
            for ours, theirs in zip(blocks["layer"], blocks["reference"], strict=True)
        ]
        measurements += [
            Measurement(f"{mode}_time", median, "s", "lower", "machine"),
            Measurement(f"{mode}_time_ratio", statistics.median(ratios), f"x {REFERENCE}", "lower", "machine"),
        ]
    return measurements


def _costs(ours: dict[str, float], theirs: dict[str, float]) -> list[Measurement]:
    return [
        measurement
        for name, value in ours.items()
        for measurement in (
            Measurement(name, value, UNITS[name], "lower", "never"),
            Measurement(f"{name}_ratio", value / theirs[name], f"x {REFERENCE}", "lower", "never"),
        )
    ]
