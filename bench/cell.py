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


@dataclass(frozen=True)
class Spec:
    """A component by name, with every option it was given or defaults to, as plain JSON values."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **self.options}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Spec:
        options = dict(value)
        return cls(options.pop("name"), options)


COMPONENTS = ("task", "model", "layer", "data")
CHOICES = {"device": get_args(Device), "precision": get_args(Precision), "memory_format": get_args(MemoryFormat)}


@dataclass(frozen=True)
class Cell:
    """What is run. `data` is None for tasks that need none; `threads` is the number of CPU threads of the process."""

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
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {key: value.to_json() if isinstance(value, Spec) else value for key, value in values.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cell:
        specs = {key: Spec.from_json(value[key]) if value[key] is not None else None for key in COMPONENTS}
        return cls(**{**value, **specs})

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """The words `--only` searches and progress lines show."""
        names = [self.task.name, self.model.name, self.layer.name, self.data.name if self.data else None]
        return " ".join([*filter(None, names), f"seed={self.seed}"])


def flatten(value: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's JSON with dotted keys: {"layer": "pixel_dcl", "layer.kernel": 3, "seed": 0, ...}."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            flat[key] = item["name"]
            flat |= {f"{key}.{option}": setting for option, setting in item.items() if option != "name"}
        else:
            flat[key] = item
    return flat


def distinguish(cells: Mapping[str, Cell]) -> dict[str, str]:
    """A name for each cell by id: its layer, task and network, and the settings in which its like differ."""
    flat = {cell_id: flatten(cell.to_json()) for cell_id, cell in cells.items()}
    kinds = {(settings["task"], settings["model"]) for settings in flat.values()}

    def differs(key: str, settings: Mapping[str, Any]) -> bool:
        like = ("task", "model", "layer") if key.startswith("layer.") else ("task", "model")
        others = [other for other in flat.values() if all(other[each] == settings[each] for each in like)]
        return len({str(other.get(key)) for other in others}) > 1

    return {
        cell_id: " ".join(
            [
                settings["layer"],
                *([settings["task"], settings["model"]] if len(kinds) > 1 else []),
                *(f"{key}={settings[key]}" for key in sorted(settings) if key != "layer" and differs(key, settings)),
            ]
        )
        for cell_id, settings in flat.items()
    }
