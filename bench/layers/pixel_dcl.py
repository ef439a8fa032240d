"""The PixelDCL family: the phases of the output are made one group after another, each from those before it.

Which phases a step makes and what it sees is data (`bench.layers.schedule`); one module runs any list of steps.
Source: Gao et al., Pixel Transposed Convolutional Networks, arXiv 1705.06820, section 2, and the authors' layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.base import UpsamplingLayer, check_odd
from bench.layers.phases import Phase, dilate, interleave, phases
from bench.layers.schedule import SCHEDULES, Schedule, ScheduleName
from bench.layers.steps import Init, PhaseStep, SharedStep, Terms

Implementation = Literal["lean", "published"]
Activation = Literal["none", "relu", "elu", "gelu", "silu"]

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
}


@cache
def mean_square(activation: Activation) -> float:
    """Of the activation of a standard normal variable, what a phase is at the start: 1 for "none", 0.5 for "relu"."""
    if activation == "none":
        return 1.0
    z, step = np.linspace(-10, 10, 20_001, retstep=True)  # beyond 10 deviations nothing is left
    squares = ACTIVATIONS[activation](torch.from_numpy(z)).numpy() ** 2
    return float(np.sum(squares * np.exp(-(z**2) / 2)) * step / np.sqrt(2 * np.pi))


class PhaseSchedule(UpsamplingLayer):
    """Runs a schedule. Raises ValueError for an even kernel, which has no centre and draws stripes.

    implementation: "lean" reads the real taps only and writes each phase once; "published" is the dataflow of the
    authors' code, equal in value. init: "equal" gives all phases the mean square of a white input of variance 1, in
    the mean over draws; "released" is the authors', whose shared kernel starts far too large. activation: applied to
    what later steps see of a phase, not to the output.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        schedule: Schedule,
        *,
        dims: int,
        factor: int,
        kernel: int,
        implementation: Implementation,
        init: Init,
        activation: Activation,
        bias: bool,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        check_odd(kernel)
        self.schedule, self.kernel = schedule, kernel
        self.implementation, self.init, self.activation = implementation, init, activation
        make = {True: SharedStep, False: PhaseStep}
        self.steps = nn.ModuleList(
            make[step.shared](step, in_channels, out_channels, dims=dims, factor=factor, kernel=kernel)
            for step in schedule
        )
        self.reset_parameters()

    def step_modules(self) -> list[PhaseStep | SharedStep]:
        """The steps in order."""
        return [step for step in self.steps if isinstance(step, PhaseStep | SharedStep)]

    def reset_parameters(self) -> None:
        for step in self.step_modules():
            step.reset_parameters(self.init, mean_square(self.activation))

    def upsample(self, x: Tensor) -> Tensor:
        if self.implementation == "published":
            return self._published(x)
        terms: Terms = {}
        seen: dict[Phase, Tensor] = {}
        for step in self.step_modules():
            self._see(step, terms, seen)
            terms |= step(x, seen)
        return interleave([terms[phase] for phase in phases(self.dims, self.factor)], self.factor)

    def _published(self, x: Tensor) -> Tensor:
        """Dilate every phase to the size of the output and add; a shared kernel is masked and works at that size."""
        terms: Terms = {}
        seen: dict[Phase, Tensor] = {}
        maps: list[Tensor] = []
        for step in self.step_modules():
            self._see(step, terms, seen)
            if isinstance(step, SharedStep):
                read = total(dilate(seen[phase], phase, self.factor) for phase in step.step.sees)
                maps.append(step.conv(read, step.masked_kernel(), padding=self.kernel // 2))
            else:
                made = step(x, seen)
                maps += [dilate(part, phase, self.factor) for phase, (part,) in made.items()]
                terms |= made
        return total(maps)

    def _see(self, step: PhaseStep | SharedStep, terms: Terms, seen: dict[Phase, Tensor]) -> None:
        """Add up and activate what `step` is the first to see."""
        for phase in step.step.sees:
            if phase not in seen:
                terms[phase] = [total(terms[phase])]
                seen[phase] = ACTIVATIONS[self.activation](terms[phase][0])

    def multiply_adds(self) -> int:
        if self.implementation == "lean":
            return sum(step.multiply_adds() for step in self.step_modules())
        at_output = self.factor**self.dims * self.out_channels**2 * self.kernel**self.dims
        return sum(at_output if step.step.shared else step.multiply_adds() for step in self.step_modules())


def total(parts: Iterable[Tensor]) -> Tensor:
    first, *others = parts
    return sum(others, first)


class PaperLayer(PhaseSchedule):
    """A layer of the paper: its schedule by name."""

    input_always: ClassVar[bool]  # whether every phase sees the layer's input, or the first alone

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        schedule: ScheduleName = "released",
        implementation: Implementation = "lean",
        init: Init = "equal",
        activation: Activation = "none",
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            SCHEDULES[schedule](dims, factor, input_always=self.input_always),
            dims=dims,
            factor=factor,
            kernel=kernel,
            implementation=implementation,
            init=init,
            activation=activation,
            bias=bias,
        )


class IPixelDCL(PaperLayer):
    """Input Pixel Deconvolutional Layer: every phase sees the input and the phases made before it.

    Source: Gao et al., arXiv 1705.06820, section 2. schedule="released" makes the last two phases of a 2-D
    x2 layer together, as the authors' code does; "sequential" makes them one after another, as the equations say;
    the others are ours (`bench.layers.schedule`).
    """

    input_always = True


class PixelDCL(PaperLayer):
    """Pixel Deconvolutional Layer: only the first phase sees the input, the others see the phases made before them.

    Source: Gao et al., arXiv 1705.06820, section 2. schedule="released" makes the last two phases of a 2-D
    x2 layer with one masked kernel on the output's grid, as the authors' code does; "sequential" as the equations say;
    the others are ours (`bench.layers.schedule`).
    """

    input_always = False
