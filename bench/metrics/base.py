"""What a metric is: a pure function of two arrays, and how to read its value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """compares says what `compute(ours, reference)` is given, always uint8:

    "masks": predicted and true classes, (N, H, W), and `classes=` their number; 255 in the reference is void.
    "samples": generated and real images, (N, H, W, C) and (M, H, W, C), not paired.
    "reconstructions": reconstructed and original images, (N, H, W, C), paired.
    The value is a float; NaN where the formula has none. unit: as printed in tables.
    """

    compute: Callable[..., float]
    compares: Literal["masks", "samples", "reconstructions"]
    unit: str
    better: Better
