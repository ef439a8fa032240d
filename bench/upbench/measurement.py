"""One number that was measured: the same class from the task that takes it to the table that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Better = Literal["lower", "higher"]
Varies = Literal["never", "seed", "machine"]

VALIDATION = "val_"
"""What stands before the name of a metric whose value is that on the validation split, for tuning."""


@dataclass(frozen=True)
class Measurement:
    """One number of a cell.

    Attributes:
        metric: the name of what was measured, `name[member]` where a metric has members.
        value: the number, finite, in `unit`.
        unit: "1" for a pure number, "s", "B", "dB", "x transposed_conv" for a ratio to that layer, and so on.
        better: the direction that is an improvement.
        varies: what the number differs with from one run to the next. "never": with nothing. "seed": with the cell's
            seed. "machine": with the state of the machine as well.
    """

    # pydantic reads this where a stored measurement is validated; other fields or numbers are refused there
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    metric: str
    value: float
    unit: str
    better: Better
    varies: Varies = "seed"
