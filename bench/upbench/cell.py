"""A cell: the smallest thing that is run, timed, retried and counted, and its identity."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
MemoryFormat = Literal["contiguous", "channels_last"]

COMPONENTS = ("task", "model", "layer", "data")
CHOICES = {"device": get_args(Device), "precision": get_args(Precision), "memory_format": get_args(MemoryFormat)}


@dataclass(frozen=True)
class Spec:
    """A component of a cell.

    Attributes:
        name: the registered name, or a user's own part as "package.module:Name" or "./file.py:Name".
        options: every option the component was given or defaults to, as plain JSON values.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The component as one flat JSON object."""
        return {"name": self.name, **self.options}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Spec:
        """The component of such an object. Raises LookupError for one without a name."""
        options = dict(value)
        return cls(options.pop("name"), options)


@dataclass(frozen=True)
class Cell:
    """What is run.

    Attributes:
        task: what is done with the network.
        model: the network.
        layer: the up-sampling layer in it.
        data: the data set, None for tasks that need none.
        seed: of every random draw of the cell.
        device: where the network computes.
        precision: fp32, or bf16 by autocast.
        memory_format: of images and weights.
        compile: whether the network goes through torch.compile.
        threads: CPU threads of the cell's process.
    """

    task: Spec
    model: Spec
    layer: Spec
    data: Spec | None
    seed: int = 0
    device: Device = "cpu"
    precision: Precision = "fp32"
    memory_format: MemoryFormat = "contiguous"
    compile: bool = False
    threads: int = 1

    def to_json(self) -> dict[str, Any]:
        """The cell as plain JSON values."""
        values: dict[str, Any] = {}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            values[each.name] = value.to_json() if isinstance(value, Spec) else value
        return values

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cell:
        """The cell of such values. Raises LookupError, TypeError or ValueError for anything else."""
        values = dict(value)
        for component in COMPONENTS:
            given = value[component]
            values[component] = None if given is None else Spec.from_json(given)
        return cls(**values)

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        # the order of keys and the white space are fixed, or equal cells could have two ids
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """The words that progress lines show."""
        components = (self.task, self.model, self.layer, self.data)
        names = [component.name for component in components if component is not None]
        return " ".join([*names, f"seed={self.seed}"])


def flatten(value: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's JSON with dotted keys: {"layer": "pixel_dcl", "layer.kernel_size": 3, "seed": 0, ...}."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(item, Mapping):
            flat[key] = item
            continue
        flat[key] = item["name"]
        for option, setting in item.items():
            if option != "name":
                flat[f"{key}.{option}"] = setting
    return flat
