"""Time, memory, parameters and FLOPs of a network, beside the same network with a transposed convolution."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import operator
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from upbench.cell import Cell, Spec
from upbench.data.base import DataShape
from upbench.layers import LAYERS, REFERENCE
from upbench.layers.base import UpsamplingLayer
from upbench.measurement import Measurement
from upbench.models.base import Network
from upbench.tasks import TASKS
from upbench.tasks.base import (
    Result,
    autocast,
    build_network,
    check_network,
    check_positive,
    find_memory_format,
)
from upbench.tasks.memory import count_bytes_moved, measure_peak
from upbench.tasks.timing import Samples, time_interleaved

LEARNING_RATE = 1e-3  # of the timed step, whose time does not depend on it
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
    """Time the forward pass and the training step of a network, beside its twin with the reference layer.

    forward: evaluation mode, no gradients. train: forward, backward and a step of SGD; the input takes a gradient if
    the network is a bare layer, which in use lies in mid-network. The input is white. Of a generative adversarial
    network, which takes codes, only the generator is timed: its discriminator holds no layer.

    The two are timed in turn in blocks of random order. Every metric comes also as `*_ratio` to the twin; that of a
    time is the median of the blocks' ratios. The process is the replicate: use several seeds, not more blocks.

    Attributes:
        batch: number of inputs; above 0. Default: 4.
        side: side of the input in pixels, the same in each of the model's dimensions; above 0. Default: 64.
        in_channels: channels of the input; above 0. Default: 64.
        out_channels: channels of the output; above 0. Default: 64.
        blocks: number of blocks; above 0. Default: 7.
        seconds: about how long all blocks of the forward pass take together, and those of the training step; above 0.
            Default: 1.0.
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
    also_evaluates: ClassVar[tuple[str, ...]] = ()

    def measures(self) -> tuple[str, ...]:
        """The names of what is measured."""
        ratios = [f"{name}_ratio" for name in UNITS]
        return (*UNITS, *ratios)

    def check(self, cell: Cell, shape: DataShape | None) -> None:
        """Check the options, and that the network can be built; there are no data, and `shape` is None.

        Raises ValueError or UserError if not.
        """
        check_positive(batch=self.batch, side=self.side, blocks=self.blocks, seconds=self.seconds)
        check_network(cell, self.in_channels, self.out_channels, self.side, dims=(1, 2, 3))

    def run(self, cell: Cell, folder: Path | None) -> Result:
        """Measure one cell."""
        reference_layer = Spec(REFERENCE, LAYERS.complete(REFERENCE, {}))
        # both are made before either is measured
        ours = prepare_subject(cell)
        reference = prepare_subject(dataclasses.replace(cell, layer=reference_layer))
        our_costs = measure_costs(ours)
        reference_costs = measure_costs(reference)
        # one generator for both: the order of their blocks differs
        rng = random.Random(cell.seed)
        forward = {"layer": ours.forward, "reference": reference.forward}
        train = {"layer": ours.train, "reference": reference.train}
        samples = {
            "forward": time_interleaved(forward, self.blocks, self.seconds, rng),
            "train": time_interleaved(train, self.blocks, self.seconds, rng),
        }
        times = summarise_times(samples)
        return Result(
            [*times, *compare_costs(our_costs, reference_costs)],
            raw={"seconds": samples},
        )


@dataclass(frozen=True)
class Subject:
    """A speed cell made ready.

    Attributes:
        cell: the cell.
        network: its network.
        x: its white input.
        forward: takes one forward pass.
        train: takes one training step, of a copy of the network.
    """

    cell: Cell
    network: Network
    x: Tensor
    forward: Callable[[], object]
    train: Callable[[], None]


def prepare_subject(cell: Cell) -> Subject:
    """Build the network, the white input and both steps of a speed cell."""
    task: Speed = TASKS.build(cell.task.name, **cell.task.options)
    network = build_network(cell, task.in_channels, task.out_channels, task.side)
    x = torch.randn(task.batch, *network.input_shape, device=cell.device)
    x = x.contiguous(memory_format=find_memory_format(cell, x.ndim - 2))
    # a copy: the training step changes the weights, and a forward pass is that of the first ones
    trained = copy.deepcopy(network)
    return Subject(
        cell,
        network,
        x,
        forward=make_forward_pass(network, x, cell),
        train=make_training_step(trained, x, cell),
    )


def measure_costs(subject: Subject) -> dict[str, float]:
    """Measure what a network costs besides time; none of it varies from run to run.

    Returns:
        The costs by the names in `UNITS`, which has their units.
    """
    device = subject.cell.device
    forward_peak = measure_peak(subject.forward, device)
    train_peak = measure_peak(subject.train, device)
    with torch.inference_mode(), autocast(subject.cell):
        output = subject.network.eval()(subject.x)
    if isinstance(output, tuple):  # an autoencoder's reconstruction
        output = output[0]
    output_bytes = output.numel() * output.element_size()
    return {
        "forward_peak": forward_peak,
        "train_peak": train_peak,
        "forward_peak_outputs": forward_peak / output_bytes,
        "train_peak_outputs": train_peak / output_bytes,
        "bytes_moved": count_bytes_moved(subject.forward),
        "parameters": sum(parameter.numel() for parameter in subject.network.parameters()),
        "flops": count_forward_flops(subject.network, subject.x),
    }


def make_forward_pass(network: Network, x: Tensor, cell: Cell) -> Callable[[], object]:
    """Make a function without arguments that takes a forward pass in evaluation mode, without gradients."""
    network.eval()

    def step() -> object:
        """Take the forward pass."""
        with torch.inference_mode(), autocast(cell):
            output = network(x)
        _synchronise(cell)
        return output

    return step


def make_training_step(network: Network, x: Tensor, cell: Cell) -> Callable[[], None]:
    """Make a function without arguments that takes a forward pass, the backward pass and one step of plain SGD.

    The loss is the mean square output. The update is written out: constructing any torch.optim optimiser imports the
    compiler, seconds in each process.
    """
    network.train()
    parameters: list[Tensor] = list(network.parameters())
    x = x.clone().requires_grad_(network.role == "layer")
    wanted = [*parameters, x] if x.requires_grad else parameters

    def step() -> None:
        """Take the training step."""
        with autocast(cell):
            outputs = network(x)
        loss = mean_square(outputs)
        # not .backward(): gradients kept in .grad would be freed by the next step, see measure_peak
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        descend(parameters, gradients)
        _synchronise(cell)

    return step


def mean_square(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The mean square of a network's output, or the sum of those of its outputs."""
    if not isinstance(outputs, tuple):
        outputs = (outputs,)
    return torch.stack([output.float().square().mean() for output in outputs]).sum()


def descend(parameters: list[Tensor], gradients: tuple[Tensor | None, ...]) -> None:
    """Take a step of SGD with those parameters that the loss depends on; further gradients are left aside."""
    steered = []
    slopes = []
    # not strict: the gradient of the input may follow
    for parameter, gradient in zip(parameters, gradients, strict=False):
        if gradient is not None:
            steered.append(parameter)
            slopes.append(gradient)
    with torch.no_grad():
        torch._foreach_add_(steered, slopes, alpha=-LEARNING_RATE)


def count_forward_flops(network: Network, x: Tensor) -> int:
    """Count the FLOPs of one forward pass, a multiply-add counted as two.

    Convolutions and matrix products are counted as they run, what up-sampling layers do besides by their own formula;
    normalisation, activation and pooling count as 0.
    """
    uncounted = 0

    def add_uncounted(layer: UpsamplingLayer, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Add what torch counts as nothing in one call of a layer."""
        nonlocal uncounted
        pixels = inputs[0][:, 0].numel()
        uncounted += 2 * layer.uncounted_multiply_adds() * pixels

    layers = [module for module in network.modules() if isinstance(module, UpsamplingLayer)]
    hooks = [layer.register_forward_hook(add_uncounted) for layer in layers]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(x)
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() + uncounted


def _synchronise(cell: Cell) -> None:
    """Wait until the GPU has done what it was told."""
    if cell.device == "cuda":
        torch.cuda.synchronize()


def summarise_times(samples: dict[str, Samples]) -> list[Measurement]:
    """The median time of each step, and the median over the blocks of its ratio to the twin's median time."""
    measurements = []
    for mode, blocks_by_subject in samples.items():
        our_blocks = blocks_by_subject["layer"]
        reference_blocks = blocks_by_subject["reference"]
        time = statistics.median(itertools.chain(*our_blocks))
        our_medians = map(statistics.median, our_blocks)
        reference_medians = map(statistics.median, reference_blocks)
        ratio = statistics.median(map(operator.truediv, our_medians, reference_medians))
        measurements += [
            Measurement(f"{mode}_time", time, "s", "lower", "machine"),
            Measurement(f"{mode}_time_ratio", ratio, f"x {REFERENCE}", "lower", "machine"),
        ]
    return measurements


def compare_costs(ours: dict[str, float], reference: dict[str, float]) -> list[Measurement]:
    """Each cost of the network, and its ratio to that of the twin."""
    measurements = []
    for name, value in ours.items():
        ratio = value / reference[name]
        measurements += [
            Measurement(name, value, UNITS[name], "lower", "never"),
            Measurement(f"{name}_ratio", ratio, f"x {REFERENCE}", "lower", "never"),
        ]
    return measurements
