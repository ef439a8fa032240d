"""The PixelDCL family: the phases of the output are made one group after another, each from those before it.

Which phases a step makes and what it sees is data (`upbench.layers.schedule`); one module runs any list of steps.
Source: Gao et al., Pixel Transposed Convolutional Networks, arXiv 1705.06820, section 2, and the authors' layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upbench.layers.base import UpsamplingLayer, check_odd
from upbench.layers.phases import Phase, dilate, interleave, phases
from upbench.layers.schedule import SCHEDULES, Schedule, ScheduleName
from upbench.layers.steps import Init, PhaseStep, SharedStep, Terms

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
    """Compute the mean square of an activation of a standard normal variable, which is what a phase is at the start.

    Args:
        activation: The name of the activation.

    Returns:
        1 for "none", 0.5 for "relu", and so on, by numerical integration.
    """
    if activation == "none":
        return 1.0
    # beyond 10 deviations nothing is left
    z, step = np.linspace(-10, 10, 20_001, retstep=True)
    activate = ACTIVATIONS[activation]
    squares = activate(torch.from_numpy(z)).numpy() ** 2
    density = np.exp(-(z**2) / 2)  # but for its constant, by which the integral is divided
    integral = np.sum(squares * density) * step
    return float(integral / np.sqrt(2 * np.pi))


class PhaseSchedule(UpsamplingLayer):
    """Runs a schedule: each step makes some phases from what it sees.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        schedule_steps: The steps in order, which together make each phase once.
        dims: Spatial dimensions, 1 to 3.
        scale_factor: Up-sampling factor in each dimension, 2 or more.
        kernel_size: Side of the kernels, odd: an even kernel has no centre and draws stripes.
        implementation: "lean" or "published", as in `PixelDCL`.
        init: "equal" or "released", as in `PixelDCL`.
        activation: Applied to what later steps see of a phase, not to the output, as in `PixelDCL`.
        bias: Whether to add a learned number to each output channel, the same for all phases.

    Raises:
        ValueError: `kernel_size` is even or has no tap between some phases, or a number is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        schedule_steps: Schedule,
        *,
        dims: int,
        scale_factor: int,
        kernel_size: int,
        implementation: Implementation,
        init: Init,
        activation: Activation,
        bias: bool,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        check_odd(kernel_size)
        self.schedule_steps = schedule_steps
        self.kernel_size = kernel_size
        self.implementation = implementation
        self.init = init
        self.activation = activation
        self.steps = nn.ModuleList()
        for step in schedule_steps:
            make = SharedStep if step.shared else PhaseStep
            module = make(
                step, in_channels, out_channels, dims=dims, scale_factor=scale_factor, kernel_size=kernel_size
            )
            self.steps.append(module)
        self.reset_parameters()

    def step_modules(self) -> list[PhaseStep | SharedStep]:
        """List the convolutions in the order of the steps."""
        return cast("list[PhaseStep | SharedStep]", list(self.steps))

    def reset_parameters(self) -> None:
        """Draw the weights of each step, in their order."""
        seen_power = mean_square(self.activation)
        for module in self.step_modules():
            module.reset_parameters(self.init, seen_power)

    def upsample(self, x: Tensor) -> Tensor:
        """Run the steps and interleave the phases."""
        if self.implementation == "published":
            return self._upsample_as_published(x)
        terms: Terms = {}
        seen: dict[Phase, Tensor] = {}
        for module in self.step_modules():
            self._add_up_seen(module, terms, seen)
            terms |= module(x, seen)
        order = phases(self.dims, self.scale_factor)
        # phases that no step sees are still sums of terms: they are added as they are written
        return interleave([terms[phase] for phase in order], self.scale_factor)

    def _upsample_as_published(self, x: Tensor) -> Tensor:
        """Dilate every phase to the size of the output and add; a shared kernel is masked and works at that size."""
        terms: Terms = {}
        seen: dict[Phase, Tensor] = {}
        maps: list[Tensor] = []
        for module in self.step_modules():
            self._add_up_seen(module, terms, seen)
            if isinstance(module, SharedStep):
                read = add_up(dilate(seen[phase], phase, self.scale_factor) for phase in module.step.sees)
                padding = self.kernel_size // 2
                # no name for the masked kernel, which would keep it alive
                maps.append(module.conv(read, module.masked_kernel(), padding=padding))
            else:
                made = module(x, seen)
                for phase, (part,) in made.items():
                    maps.append(dilate(part, phase, self.scale_factor))
                terms |= made
        return add_up(maps)

    def _add_up_seen(self, module: PhaseStep | SharedStep, terms: Terms, seen: dict[Phase, Tensor]) -> None:
        """Add up the terms of the phases that `module` is the first to see, and put them into `seen`, activated."""
        for phase in module.step.sees:
            # once for all steps: the sum and its activation are kept
            if phase not in seen:
                value = add_up(terms[phase])
                terms[phase] = [value]
                seen[phase] = ACTIVATIONS[self.activation](value)

    def multiply_adds(self) -> int:
        """Count the convolutions of all steps; as published, a shared kernel works at the size of the output."""
        places = self.scale_factor**self.dims
        taps = self.kernel_size**self.dims
        at_output = places * self.out_channels**2 * taps
        total = 0
        for module in self.step_modules():
            if self.implementation == "published" and module.step.shared:
                total += at_output
            else:
                total += module.multiply_adds()
        return total


def add_up(parts: Iterable[Tensor]) -> Tensor:
    """Add tensors up from the first to the last."""
    first, *others = parts
    return sum(others, first)


class PaperLayer(PhaseSchedule):
    """A layer of the paper, whose schedule is given by name.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3.
        scale_factor: Up-sampling factor in each dimension, 2 or more.
        kernel_size: Side of the kernels, odd.
        schedule: The name of the schedule, as in `PixelDCL`.
        implementation: "lean" or "published", as in `PixelDCL`.
        init: "equal" or "released", as in `PixelDCL`.
        activation: Applied to what later steps see of a phase, as in `PixelDCL`.
        bias: Whether to add a learned number to each output channel, the same for all phases.

    Attributes:
        input_always: Whether every phase sees the layer's input, or the first phase alone.
    """

    input_always: ClassVar[bool]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 3,
        schedule: ScheduleName = "released",
        implementation: Implementation = "lean",
        init: Init = "equal",
        activation: Activation = "none",
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            SCHEDULES[schedule](dims, scale_factor, input_always=self.input_always),
            dims=dims,
            scale_factor=scale_factor,
            kernel_size=kernel_size,
            implementation=implementation,
            init=init,
            activation=activation,
            bias=bias,
        )
        self.schedule = schedule


class IPixelDCL(PaperLayer):
    """Input Pixel Deconvolutional Layer: every phase sees the input and the phases made before it.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernels in pixels of the input, odd: an even kernel has no centre and draws stripes.
            Default: 3.
        schedule: In which order the phases are made; each sees the input and all phases of earlier steps. "released",
            the default: as in the authors' code, the phases of the main diagonal one by one, then the others in two
            groups, by the parity of their offsets' sum; the last two phases of a 2-D x2 layer are made together.
            "sequential": in the same order one by one, as the paper's equations say. "row_major": one by one in
            row-major order, so that near phases are made first (ours). "from_first": the first phase, then all others
            together from it (ours).
        implementation: How the same values are computed. "lean", the default: each phase is written once. "published":
            each phase is dilated to the size of the output and all are added, as in the authors' code.
        init: How the weights start. "equal", the default: all phases get the mean square of a white input of variance
            1, in the mean over draws. "released": Xavier, as in the authors' code.
        activation: What is applied to a phase where later phases see it, but not in the output: "none" (the default,
            as in the authors' code), "relu", "elu", "gelu" or "silu".
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: `kernel_size` is even, or a number is out of its range.

    Source:
        Gao et al., Pixel Transposed Convolutional Networks, arXiv 1705.06820, section 2, and the authors' layers.
    """

    input_always = True


class PixelDCL(PaperLayer):
    """Pixel Deconvolutional Layer: the first phase sees the input, the others see the phases made before them.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernels in pixels of the input, odd: an even kernel has no centre and draws stripes. A
            kernel that several phases share lies on the grid of the output. Default: 3.
        schedule: In which order the phases are made, and which phases each sees. "released", the default: as in the
            authors' code, the phases of the main diagonal one by one, then the others in two groups, by the parity of
            their offsets' sum; the last two phases of a 2-D x2 layer are made with one masked kernel on the output's
            grid. "sequential": in the same order one by one, as the paper's equations say. "row_major": one by one in
            row-major order, so that near phases are made first (ours). "from_first": the first phase, then all others
            together from it (ours).
        implementation: How the same values are computed. "lean", the default: only taps that meet a value are read, and
            each phase is written once. "published": each phase is dilated to the size of the output and all are added,
            as in the authors' code.
        init: How the weights start. "equal", the default: all phases get the mean square of a white input of variance
            1, in the mean over draws. "released": as in the authors' code, Xavier but for the shared kernel, which
            starts with deviation 1, far too large.
        activation: What is applied to a phase where later phases see it, but not in the output: "none" (the default,
            as in the authors' code), "relu", "elu", "gelu" or "silu".
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: `kernel_size` is even or has no tap between some phases, or a number is out of its range.

    Source:
        Gao et al., Pixel Transposed Convolutional Networks, arXiv 1705.06820, section 2, and the authors' layers.
    """

    input_always = False
