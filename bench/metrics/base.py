"""What a metric is: a pure function of two arrays, how to read its value, and what arrays it refuses."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench.data.base import VOID

Better = Literal["lower", "higher"]
Kind = Literal["masks", "samples", "reconstructions"]
Value = float | Mapping[str, float]
Compared = Mapping[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]  # kind -> ours and the reference

KINDS = get_args(Kind)
OPEN = "*"  # stands for members that only the data know


def always() -> None:
    """Nothing can be missing."""


@dataclass(frozen=True)
class Metric:
    """A function and how to read it. compares says what `compute(ours, reference)` is given, always uint8:

    "masks": predicted and true classes, (N, H, W); 255 in the reference is void.
    "samples": generated and real images, (N, H, W, C) and (M, H, W, C), not paired.
    "reconstructions": reconstructed and original images, (N, H, W, C), paired.
    The value is a float, NaN where the formula has none. unit: as printed in tables.

    A metric with `members` gives one value for each of them, measured as `name[member]`; ("*",) says that the data name
    them, as they do the classes. `fixed` are keyword arguments of `compute`; those of its further keyword-only
    parameters are facts of the data, which the caller has: classes (their number), class_names, channels (of an image).
    `check` raises UserError where a file that the metric needs is not there.
    """

    compute: Callable[..., Value]
    compares: Kind
    unit: str
    better: Better
    members: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[], None] = always

    def __call__(self, ours: NDArray[np.uint8], reference: NDArray[np.uint8], **facts: Any) -> Value:
        """The value for these arrays; facts that the metric does not ask for are left aside.

        Raises ValueError for arrays of another type, rank or size than `compares` says, for labels that no class has,
        for samples without images, for facts that are not given, and what the metric's own documentation says.
        """
        check_arrays(self.compares, ours, reference, **facts)
        parameters = inspect.signature(self.compute).parameters.values()
        asked = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in self.fixed]
        if missing := [name for name in asked if name not in facts]:
            raise ValueError(f"need to know {', '.join(missing)} of the data")
        return self.compute(ours, reference, **self.fixed, **{name: facts[name] for name in asked})

    def measure(
        self, name: str, ours: NDArray[np.uint8], reference: NDArray[np.uint8], **facts: Any
    ) -> dict[str, float]:
        """The value by what it is measured as, see `measures`; members without one (NaN) are left out."""
        value = self(ours, reference, **facts)
        if isinstance(value, Mapping):
            return {f"{name}[{member}]": each for member, each in value.items() if not math.isnan(each)}
        return {name: value}

    def measures(self, name: str) -> tuple[str, ...]:
        """What the metric registered as `name` measures: `name`, or `name[member]` for each member."""
        return tuple(f"{name}[{member}]" for member in self.members) or (name,)


def check_arrays(kind: Kind, ours: NDArray, reference: NDArray, *, classes: int = VOID, **_: Any) -> None:
    """Raises ValueError, saying what is wrong, for arrays that are not what a metric of this kind compares."""
    rank = 3 if kind == "masks" else 4
    for array in (ours, reference):
        if array.dtype != np.uint8 or array.ndim != rank:
            raise ValueError(f"{kind} must be uint8 arrays of {rank} axes, got {array.dtype} {array.shape}")
    if kind == "samples":
        if ours.shape[1:] != reference.shape[1:] or not (len(ours) and len(reference)):
            raise ValueError(f"need images of one size on both sides, got {ours.shape} and {reference.shape}")
    elif ours.shape != reference.shape:
        raise ValueError(f"{kind} {ours.shape} and their reference {reference.shape} differ in shape")
    if kind == "masks":
        kept = reference != VOID
        if max(ours[kept].max(initial=0), reference[kept].max(initial=0)) >= classes:
            raise ValueError(f"labels must be below {classes}, the number of classes")
