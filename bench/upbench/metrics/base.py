"""What a metric is: a pure function of two arrays, how its value is read, and which arrays it refuses."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from upbench.masks import VOID
from upbench.measurement import Better

Comparison = Literal["masks", "samples", "reconstructions"]
Value = float | Mapping[str, float]
Compared = Mapping[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]  # comparison -> our arrays and their reference

COMPARISONS = get_args(Comparison)
# the number of axes of the arrays
RANKS = {"masks": 3, "samples": 4, "reconstructions": 4}
OPEN = "*"  # stands for members that only the data know


def need_no_file() -> None:
    """Check nothing: the default for metrics that need no file."""


@dataclass(frozen=True)
class Metric:
    """A function of two uint8 arrays, and how its value is read.

    A comparison is one of these; `compute(ours, reference)` is given its two arrays:
        "masks": predicted and true classes, both (N, H, W). The label 255 in the reference is void.
        "samples": generated and real images, (N, H, W, C) and (M, H, W, C). Image n has nothing to do with image m.
        "reconstructions": reconstructed and original images, both (N, H, W, C). Image n is compared with image n.

    Attributes:
        compute: returns a float, NaN where the formula has none, or a float for each member. Its keyword-only
            parameters that are not in `fixed` are facts of the data, which the caller knows: `classes` (their number),
            `class_names`, `channels` (of an image).
        compares: the comparison that the metric makes.
        unit: the unit of the value, as it is printed in tables.
        better: the direction that is an improvement.
        members: the names of the values, where there are several. `(OPEN,)` says that the data name them, as they name
            the classes.
        fixed: keyword arguments of `compute` that are the same for all data.
        check: raises UserError where a file that the metric needs is not there.
    """

    compute: Callable[..., Value]
    compares: Comparison
    unit: str
    better: Better
    members: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[], None] = need_no_file

    def __call__(self, ours: NDArray[np.uint8], reference: NDArray[np.uint8], **facts: Any) -> Value:
        """Compute the value for two arrays.

        Args:
            ours: what a network made, with the shape that `compares` says.
            reference: what it is compared with, likewise.
            facts: facts of the data by name. Those that the metric does not ask for are left aside.

        Returns:
            What `compute` returns.

        Raises:
            ValueError: for arrays of another type, rank or size than `compares` says, for labels that no class has,
                for samples without images, for facts that are not given, and for what `compute` itself refuses.
        """
        check_arrays(self.compares, ours, reference, **facts)
        asked = self._asked_facts()
        missing = [name for name in asked if name not in facts]
        if missing:
            raise ValueError(f"need to know {', '.join(missing)} of the data")
        arguments = dict(self.fixed)
        for name in asked:
            arguments[name] = facts[name]
        return self.compute(ours, reference, **arguments)

    def measure(
        self,
        name: str,
        ours: NDArray[np.uint8],
        reference: NDArray[np.uint8],
        **facts: Any,
    ) -> dict[str, float]:
        """Compute the values that become measurements, by the name of each measurement.

        Args:
            name: what this metric is registered as.
            ours: as for a call.
            reference: as for a call.
            facts: as for a call.

        Returns:
            `{name: value}`, or `{"name[member]": value}` with an entry for each member. A member whose value is NaN is
            left out.

        Raises:
            ValueError: as for a call.
        """
        value = self(ours, reference, **facts)
        if not isinstance(value, Mapping):
            return {name: value}
        values = {}
        for member, member_value in value.items():
            # a member without a value, such as the IoU of a class that is nowhere, is no measurement
            if not math.isnan(member_value):
                values[f"{name}[{member}]"] = member_value
        return values

    def measures(self, name: str) -> tuple[str, ...]:
        """Name the measurements of this metric, which is registered as `name`.

        The names are `name[member]` for each member, with `*` for members that only the data know, or else `name`.
        """
        if not self.members:
            return (name,)
        return tuple(f"{name}[{member}]" for member in self.members)

    def _asked_facts(self) -> list[str]:
        """Name the keyword-only parameters of `compute` that the caller has to give."""
        asked = []
        signature = inspect.signature(self.compute)
        for name, parameter in signature.parameters.items():
            is_fact = parameter.kind is parameter.KEYWORD_ONLY
            if is_fact and name not in self.fixed:
                asked.append(name)
        return asked


def check_arrays(
    comparison: Comparison,
    ours: NDArray,
    reference: NDArray,
    *,
    classes: int = VOID,
    **_: Any,
) -> None:
    """Refuse arrays that are not what a metric of this comparison is given.

    Args:
        comparison: what the arrays have to be, see `Metric`.
        ours: what a network made.
        reference: what it is compared with.
        classes: the number of classes, for masks.

    Raises:
        ValueError: for arrays of another type, rank or size, for labels that no class has, for samples without images.
    """
    for array in (ours, reference):
        _check_type(comparison, array)
    if comparison == "samples":
        _check_samples(ours, reference)
    elif ours.shape != reference.shape:
        raise ValueError(f"{comparison} {ours.shape} and their reference {reference.shape} differ in shape")
    if comparison == "masks":
        _check_labels(ours, reference, classes)


def check_sides(height: int, width: int, *, least: int, multiple_of: int = 1) -> None:
    """Raise ValueError for images with a side, in pixels, that is below `least` or no multiple of `multiple_of`."""
    shorter = min(height, width)
    wanted = f"at least {least} pixels"
    if multiple_of > 1:
        wanted = f"multiples of {multiple_of} and {wanted}"
    if shorter < least or height % multiple_of or width % multiple_of:
        raise ValueError(f"image sides must be {wanted}, got {height} x {width}")


def _check_type(comparison: Comparison, array: NDArray) -> None:
    rank = RANKS[comparison]
    if array.dtype != np.uint8 or array.ndim != rank:
        raise ValueError(f"{comparison} must be uint8 arrays of {rank} axes, got {array.dtype} {array.shape}")


def _check_samples(generated: NDArray, real: NDArray) -> None:
    fewer = min(len(generated), len(real))
    same_size = generated.shape[1:] == real.shape[1:]
    if fewer == 0 or not same_size:
        raise ValueError(f"need images of one size on both sides, got {generated.shape} and {real.shape}")


def _check_labels(prediction: NDArray, truth: NDArray, classes: int) -> None:
    # `initial` stands for the highest label where no pixel is left
    kept = truth != VOID
    highest_predicted = prediction[kept].max(initial=0)
    highest_true = truth[kept].max(initial=0)
    if max(highest_predicted, highest_true) >= classes:
        raise ValueError(f"labels must be below {classes}, the number of classes")
