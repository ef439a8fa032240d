"""The schedules of the PixelDCL family as data: which phases are made together, in which order, and what each sees.

Source: Gao et al., Pixel Transposed Convolutional Networks, arXiv 1705.06820, section 2, and the authors' layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.layers.phases import Phase, phases

ScheduleName = Literal["released", "sequential", "row_major", "from_first"]


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


def row_major(dims: int, factor: int, *, input_always: bool) -> Schedule:
    """As `sequential`, but in row-major order: the first phase's nearest neighbours before the far ones."""
    return chain([(phase,) for phase in phases(dims, factor)], input_always=input_always)


def from_first(dims: int, factor: int, *, input_always: bool) -> Schedule:
    """Every phase sees the first and no other, so that they can all be made together: one relation in place of many."""
    first, *others = phases(dims, factor)
    return chain([(first,), tuple(others)], input_always=input_always)


# A schedule is one function of dims and factor that returns data, and its line here and in `ScheduleName`.
SCHEDULES: dict[ScheduleName, Callable[..., Schedule]] = {
    "released": released,
    "sequential": sequential,
    "row_major": row_major,
    "from_first": from_first,
}
