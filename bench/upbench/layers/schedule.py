"""The schedules of the PixelDCL family as data: which phases are made together, in which order, and what each sees.

Source: Gao et al., Pixel Transposed Convolutional Networks, arXiv 1705.06820, section 2, and the authors' layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from upbench.layers.phases import Phase, phases

ScheduleName = Literal["released", "sequential", "row_major", "from_first"]


@dataclass(frozen=True)
class Step:
    """One convolution of the family.

    Attributes:
        makes: The phases that the step makes, each with kernels of its own unless the step is `shared`.
        sees: The earlier phases that the step reads.
        sees_input: Whether the step reads the layer's input as well, before those phases.
        shared: Whether the kernel lies on the grid of the output, and all phases of the step use the same one. Only its
            taps that fall on phases in `sees` exist.
    """

    makes: tuple[Phase, ...]
    sees: tuple[Phase, ...] = ()
    sees_input: bool = False
    shared: bool = False


Schedule = tuple[Step, ...]

# The released PixelDCL layers where they differ from the rule in `released`: 2-D makes its last two phases with one
# masked kernel on the output's grid; 3-D leaves F2 out of its last step.
F1, F2 = (0, 0, 0), (1, 1, 1)
EVEN = ((1, 1, 0), (1, 0, 1), (0, 1, 1))
ODD = ((1, 0, 0), (0, 0, 1), (0, 1, 0))
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


def group_phases(dims: int, scale_factor: int) -> list[tuple[Phase, ...]]:
    """Group the phases that are made together, in the order of the released layers, for any dims and scale factor.

    First come the phases of the main diagonal, one by one. Then come the others: those whose offsets have an even sum
    together, and those whose offsets have an odd sum together.

    Args:
        dims: Spatial dimensions of the layer.
        scale_factor: Up-sampling factor in each dimension.

    Returns:
        The groups; each phase is in one of them.
    """
    diagonal = [(offset,) * dims for offset in range(scale_factor)]
    groups: list[tuple[Phase, ...]] = [(phase,) for phase in diagonal]
    if (dims, scale_factor) == (3, 2):
        # the released layers have an order of their own within these groups
        return [*groups, EVEN, ODD]
    # from the last phase to the first, as the authors make them
    others = [phase for phase in reversed(phases(dims, scale_factor)) if phase not in diagonal]
    for parity in (0, 1):
        together = tuple(phase for phase in others if sum(phase) % 2 == parity)
        # in 1-D there are no others
        if together:
            groups.append(together)
    return groups


def chain(groups: list[tuple[Phase, ...]], *, input_always: bool) -> Schedule:
    """Make a schedule in which each step sees every phase made before it.

    Args:
        groups: The phases that each step makes.
        input_always: Whether all steps see the layer's input, or the first step alone.

    Returns:
        One step for each group.
    """
    steps: list[Step] = []
    made: tuple[Phase, ...] = ()
    for group in groups:
        steps.append(Step(group, made, sees_input=input_always or not made))
        made += group
    return tuple(steps)


def sequential(dims: int, scale_factor: int, *, input_always: bool) -> Schedule:
    """Follow the equations of the paper to the letter: one phase a step (section 2)."""
    alone: list[tuple[Phase, ...]] = []
    for group in group_phases(dims, scale_factor):
        alone += [(phase,) for phase in group]
    return chain(alone, input_always=input_always)


def released(dims: int, scale_factor: int, *, input_always: bool) -> Schedule:
    """Do what the authors' layers do, and continue their rule to the dims and scale factors they do not cover."""
    if not input_always and (dims, scale_factor) in RELEASED_PIXEL_DCL:
        return RELEASED_PIXEL_DCL[dims, scale_factor]
    return chain(group_phases(dims, scale_factor), input_always=input_always)


def row_major(dims: int, scale_factor: int, *, input_always: bool) -> Schedule:
    """Make one phase a step in row-major order: the first phase's nearest neighbours come before the far phases."""
    return chain([(phase,) for phase in phases(dims, scale_factor)], input_always=input_always)


def from_first(dims: int, scale_factor: int, *, input_always: bool) -> Schedule:
    """Let every phase see the first and no other, so that they can all be made together: one relation, not many."""
    first, *others = phases(dims, scale_factor)
    return chain([(first,), tuple(others)], input_always=input_always)


# A schedule is one function of dims and scale_factor that returns data, and its line here and in `ScheduleName`.
SCHEDULES: dict[ScheduleName, Callable[..., Schedule]] = {
    "released": released,
    "sequential": sequential,
    "row_major": row_major,
    "from_first": from_first,
}
