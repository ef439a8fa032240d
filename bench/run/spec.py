"""What a grid file may say, before its cells are made: its keys, and which value each takes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError, unknown


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Settings = dict[str, Any]


class TuneSpec(_Strict):
    """Settings whose values are tried out first, at seeds that are not reported.

    Each cell then takes the values with the best mean `metric` over `seeds` at its own layer and other settings.
    """

    axes: dict[str, list[Any]]
    seeds: list[int]
    metric: str


class ExperimentSpec(_Strict):
    """A product of axes over fixed settings. `settings` and `axes` add to those of the grid."""

    name: Name
    settings: Settings = {}
    axes: dict[str, list[Any]] = {}
    tune: TuneSpec | None = None
    exclude: list[Settings] = []
    include: list[Settings] = []


Some = Annotated[list[str], Field(min_length=1)]


class TableSpec(_Strict):
    """rows: settings whose values name the rows. columns: "experiment.metric"."""

    name: Name
    title: str
    rows: Some = ["layer"]
    columns: Some


# what a figure of each kind has to name
NEEDS = {
    "tradeoff": ("x", "y"), "lines": ("y",), "sweep": ("x", "y"),
    "masks": ("experiment",), "images": ("experiment",), "spectra": ("experiment",), "curves": ("experiment",),
}  # fmt: skip


class FigureSpec(_Strict):
    """One picture; which of x, y and experiment it needs depends on its kind. x: a column; for "sweep" a setting."""

    name: Name
    title: str
    kind: Literal["tradeoff", "lines", "masks", "images", "spectra", "curves", "sweep"]
    x: str = ""
    y: str = ""
    experiment: str = ""


class GridSpec(_Strict):
    """keep_seeds: seeds whose predictions and samples are kept whole, see `bench.run.kept`."""

    title: str
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1800.0
    keep_seeds: list[int] = []
    settings: Settings = {}
    axes: dict[str, list[Any]] = {}
    experiments: list[ExperimentSpec]
    tables: list[TableSpec] = []
    figures: list[FigureSpec] = []


def read_spec(path: Path) -> GridSpec:
    """Raises UserError for a file that cannot be read or is not TOML, or a key or a value that a grid cannot have."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = ", ".join(sorted(map(str, path.parent.glob("*.toml")))) or "none"
        raise UserError(f"grid file {path} does not exist; grids in that folder: {near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"grid file {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"grid file {path} is not valid TOML: {error}") from None
    try:
        return GridSpec.model_validate(document)
    except ValidationError as error:
        raise _explain(error, document, path) from None


def _explain(error: ValidationError, document: Mapping[str, Any], path: Path) -> UserError:
    first = next((each for each in error.errors() if each["type"] == "extra_forbidden"), error.errors()[0])
    *parents, key = first["loc"]
    place = ".".join(map(str, parents))
    where = f"{path}{f', {place}' if place else ''}"
    if first["type"] == "extra_forbidden":
        models: dict[str, type[BaseModel]] = {
            "experiments": ExperimentSpec,
            "tables": TableSpec,
            "figures": FigureSpec,
        }
        model = TuneSpec if "tune" in parents else models.get(str(parents[0]), GridSpec) if parents else GridSpec
        return unknown("key", key, model.model_fields, where)
    return UserError(f"{where}: {key}: {first['msg'].lower()}")
