"""The PixelDCL family: the phases of the output are made one group after another, each from those before it.

Which phases a step makes and what it sees is data (`Step`); one module runs any list of steps.
Source: Gao et al., Pixel Transposed Convolutional Networks, arXiv 1705.06820, section 2, and the authors' layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.base import CONV, UpsamplingLayer, check_odd, init_by_fan_in
from bench.layers.phases import Phase, interleave, phases

ScheduleName = Literal["released", "sequential"]


@dataclass(frozen=True)
class Step:
    """One convolution of the family.

    makes: the phases it makes, each with kernels of its own. sees: the earlier phases it reads; `sees_input`: the
    layer's input as well, before them. shared: the kernel lies on the grid of the *output* and all phases of the step
    use the same one; only its taps that fall on phases in `sees` exist.
    """

    makes: tuple[Phase, ...]
    sees: tuple[Phase, ...] = ()
    sees_input: bool = False
    shared: bool = False


Schedule = tuple[Step, ...]

# The released PixelDCL layers where they differ from the rule in `released`: 2-D makes its last two phases with one
# masked kernel on the output's grid; 3-D leaves F2 out of its last step.
F1, F2 = (0, 0, 0), (1, 1, 1)
EVEN, ODD = ((1, 1, 0), (1, 0, 1), (0, 1, 1)), ((1, 0, 0), (0, 0, 1), (0, 1, 0))
RELEASED_PIXEL_DCL: dict[tuple[int, int], Schedule] = {
    (2, 2): (
        Step(((0, 0),), sees_input=True),
        Step(((1, 1),), sees=((0, 0),)),
        Step(((1, 0), (0, 1)), sees=((0, 0), (1, 1)), shared=True),
    ),
    (3, 2): (
        Step((F1,), sees_input=True),
        Step((F2,), sees=(F1,)),
        Step(EVEN, sees=(F1, F2)),
        Step(ODD, sees=(F1, *EVEN)),
    ),
}


def groups(dims: int, factor: int) -> list[tuple[Phase, ...]]:
    """The order of the released layers, for any dims and factor.

    First the phases of the main diagonal one by one, then the others: those whose offsets have an even sum together,
    then those with an odd sum together.
    """
    diagonal = [(i,) * dims for i in range(factor)]
    others = [phase for phase in reversed(phases(dims, factor)) if phase not in diagonal]
    if (dims, factor) == (3, 2):
        rest: list[tuple[Phase, ...]] = [EVEN, ODD]
    else:
        rest = [tuple(phase for phase in others if sum(phase) % 2 == parity) for parity in (0, 1)]
    return [(phase,) for phase in diagonal] + [group for group in rest if group]


def chain(steps: list[tuple[Phase, ...]], *, input_always: bool) -> Schedule:
    """Each step sees every phase made before it; the input is seen by the first step only, or by all."""
    before = [tuple(itertools.chain(*steps[:index])) for index in range(len(steps))]
    return tuple(
        Step(makes, sees, sees_input=input_always or not sees) for makes, sees in zip(steps, before, strict=True)
    )


def sequential(dims: int, factor: int, *, input_always: bool) -> Schedule:
    """The equations of the paper to the letter: one phase a step (section 2)."""
    return chain([(phase,) for group in groups(dims, factor) for phase in group], input_always=input_always)


def released(dims: int, factor: int, *, input_always: bool) -> Schedule:
    """What the authors' layers do, continued by the same rule to the dims and factors they do not cover."""
    if not input_always and (dims, factor) in RELEASED_PIXEL_DCL:
        return RELEASED_PIXEL_DCL[dims, factor]
    return chain(groups(dims, factor), input_always=input_always)


SCHEDULES = {"released": released, "sequential": sequential}


class PhaseSchedule(UpsamplingLayer):
    """Runs a schedule. Raises ValueError for an even kernel, which has no centre and draws stripes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        schedule: Schedule,
        *,
        dims: int,
        factor: int,
        kernel: int,
        bias: bool,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        check_odd(kernel)
        self.schedule, self.kernel = schedule, kernel
        make = {True: SharedStep, False: PhaseStep}
        self.steps = nn.ModuleList(
            make[step.shared](step, in_channels, out_channels, dims=dims, factor=factor, kernel=kernel)
            for step in schedule
        )

    def reset_parameters(self) -> None:
        for step in self.steps:
            step.reset_parameters()

    def upsample(self, x: Tensor) -> Tensor:
        made: dict[Phase, Tensor] = {}
        for step in self.steps:
            made |= step(x, made)
        return interleave([[made[phase]] for phase in phases(self.dims, self.factor)], self.factor)

    def multiply_adds(self) -> int:
        return sum(step.multiply_adds() for step in self.steps)


class PhaseStep(nn.Module):
    """A convolution on the grid of the input: weights (len(makes) * out, channels seen, *kernel), phases slowest."""

    def __init__(self, step: Step, in_channels: int, out_channels: int, *, dims: int, factor: int, kernel: int) -> None:
        super().__init__()
        self.step, self.conv, self.kernel = step, CONV[dims], kernel
        seen = step.sees_input * in_channels + len(step.sees) * out_channels
        self.weight = nn.Parameter(torch.empty(len(step.makes) * out_channels, seen, *[kernel] * dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init_by_fan_in(self.weight, self.weight[0].numel())

    def forward(self, x: Tensor, made: dict[Phase, Tensor]) -> dict[Phase, Tensor]:
        seen = [x] * self.step.sees_input + [made[phase] for phase in self.step.sees]
        y = self.conv(torch.cat(seen, 1) if len(seen) > 1 else seen[0], self.weight, padding=self.kernel // 2)
        return dict(zip(self.step.makes, y.chunk(len(self.step.makes), 1), strict=True))

    def multiply_adds(self) -> int:
        return self.weight.numel()


class SharedStep(nn.Module):
    """A convolution on the grid of the output, done on the grid of the input with its real taps only.

    An output pixel of phase p reads, through tap t, a pixel of phase q where p + t = q modulo the factor. So the
    kernel falls apart into one small kernel for each residue q - p: `weights["1_0"]` holds the taps with an odd row
    and an even column offset, (out_channels, out_channels, *taps). All else of the masked kernel never meets a value.
    """

    def __init__(self, step: Step, in_channels: int, out_channels: int, *, dims: int, factor: int, kernel: int) -> None:
        super().__init__()
        self.step, self.conv, self.factor = step, CONV[dims], factor
        self.reach = range(-(kernel // 2), kernel // 2 + 1)
        if not all(all(self.taps(residue)) for _, _, residue in self.pairs()):
            raise ValueError(f"kernel {kernel} has no tap between phases {factor - 1} apart; it must be larger")
        self.weights = nn.ParameterDict(
            {
                _key(residue): nn.Parameter(torch.empty(out_channels, out_channels, *map(len, self.taps(residue))))
                for residue in sorted({residue for _, _, residue in self.pairs()})
            }
        )
        self.reset_parameters()

    def pairs(self) -> Iterator[tuple[Phase, Phase, Phase]]:
        """(phase made, phase seen, residue of the taps between them)."""
        for made, seen in itertools.product(self.step.makes, self.step.sees):
            yield made, seen, tuple((q - p) % self.factor for p, q in zip(made, seen, strict=True))

    def taps(self, residue: Phase) -> list[list[int]]:
        """The tap offsets of a residue, in pixels of the output, for each dimension."""
        return [[tap for tap in self.reach if tap % self.factor == r] for r in residue]

    def reset_parameters(self) -> None:
        fan_in = sum(self.weights[_key(residue)][0].numel() for _, _, residue in self.pairs()) // len(self.step.makes)
        for weight in self.weights.values():
            init_by_fan_in(weight, fan_in)

    def forward(self, x: Tensor, made: dict[Phase, Tensor]) -> dict[Phase, Tensor]:
        result: dict[Phase, Tensor] = {}
        for target, source, residue in self.pairs():
            padding: list[int] = []
            for p, q, taps in zip(target, source, self.taps(residue), strict=True):
                first, last = (p + taps[0] - q) // self.factor, (p + taps[-1] - q) // self.factor
                padding = [-first, last, *padding]  # F.pad counts dimensions from the last
            y = self.conv(F.pad(made[source], padding), self.weights[_key(residue)])
            result[target] = result[target] + y if target in result else y
        return result

    def multiply_adds(self) -> int:
        return sum(self.weights[_key(residue)].numel() for _, _, residue in self.pairs())


def _key(residue: Phase) -> str:
    return "_".join(map(str, residue))


class IPixelDCL(PhaseSchedule):
    """Input Pixel Deconvolutional Layer: every phase sees the input and the phases made before it.

    Source: Gao et al., arXiv 1705.06820, section 2. schedule="released" makes the last two phases of a 2-D
    x2 layer together, as the authors' code does; "sequential" makes them one after another, as the equations say.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        schedule: ScheduleName = "released",
        bias: bool = False,
    ) -> None:
        steps = SCHEDULES[schedule](dims, factor, input_always=True)
        super().__init__(in_channels, out_channels, steps, dims=dims, factor=factor, kernel=kernel, bias=bias)


class PixelDCL(PhaseSchedule):
    """Pixel Deconvolutional Layer: only the first phase sees the input, the others see the phases made before them.

    Source: Gao et al., arXiv 1705.06820, section 2. schedule="released" makes the last two phases of a 2-D
    x2 layer with one masked kernel on the output's grid, as the authors' code does; "sequential" as the equations say.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        schedule: ScheduleName = "released",
        bias: bool = False,
    ) -> None:
        steps = SCHEDULES[schedule](dims, factor, input_always=False)
        super().__init__(in_channels, out_channels, steps, dims=dims, factor=factor, kernel=kernel, bias=bias)
