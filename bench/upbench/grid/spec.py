"""What a grid file may say, before its cells are made: its keys, and which value each takes."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from upbench.errors import UserError, unknown_name_error

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Names = Annotated[list[str], Field(min_length=1)]
Settings = dict[str, Any]


class _Strict(BaseModel):
    """A table of the file: a key that it does not declare is refused, and so is a value of another type."""

    # strict: "3" is no number and 1 is no truth value
    model_config = ConfigDict(extra="forbid", strict=True)


class TuneSpec(_Strict):
    """Settings whose values are tried out first.

    Each cell then takes the values that were best at its own layer and other settings.

    Attributes:
        axes: the settings and the values that are tried.
        seeds: of the trials; none of them is reported.
        metric: the best mean of this metric over the seeds decides.
    """

    axes: dict[str, list[Any]]
    seeds: list[int]
    metric: str


class ExperimentSpec(_Strict):
    """A product of axes over fixed settings.

    Attributes:
        name: what tables and figures call it.
        settings: fixed settings, which add to those of the grid.
        axes: settings and the values each takes, which add to those of the grid.
        tune: settings that trials choose.
        exclude: cells of the product that are left out, by the settings they have.
        include: cells beside the product, by the settings that set them apart from the experiment's own.
    """

    name: Name
    settings: Settings = {}
    axes: dict[str, list[Any]] = {}
    tune: TuneSpec | None = None
    exclude: list[Settings] = []
    include: list[Settings] = []


class TableSpec(_Strict):
    """A table.

    Attributes:
        name: the name of its files.
        title: its headline.
        rows: the settings whose values name the rows.
        columns: what it shows, each "experiment.metric".
    """

    name: Name
    title: str
    rows: Names = ["layer"]
    columns: Names


# what a figure of each kind has to name
NEEDS = {
    "tradeoff": ("x", "y"),
    "lines": ("y",),
    "sweep": ("x", "y"),
    "masks": ("experiment",),
    "images": ("experiment",),
    "spectra": ("experiment",),
    "curves": ("experiment",),
}


class FigureSpec(_Strict):
    """One picture; which of x, y and experiment it needs depends on its kind, see `NEEDS`.

    Attributes:
        name: the name of its file.
        title: its headline on a page.
        kind: what is drawn.
        x: the column across; for "sweep" a setting.
        y: the column up.
        experiment: whose cells are shown.
    """

    name: Name
    title: str
    kind: Literal["tradeoff", "lines", "masks", "images", "spectra", "curves", "sweep"]
    x: str = ""
    y: str = ""
    experiment: str = ""


class GridSpec(_Strict):
    """A whole file.

    Attributes:
        title: the headline of its page.
        timeout: seconds of wall clock that one cell may take.
        keep_seeds: seeds whose predictions and samples are kept whole, see `upbench.store.kept`.
        settings: fixed settings of all experiments.
        axes: axes of all experiments.
        experiments: the cells.
        tables: the tables.
        figures: the pictures.
    """

    title: str
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1800.0
    keep_seeds: list[int] = []
    settings: Settings = {}
    axes: dict[str, list[Any]] = {}
    experiments: list[ExperimentSpec]
    tables: list[TableSpec] = []
    figures: list[FigureSpec] = []


def read_spec(path: Path) -> GridSpec:
    """Read a grid's file.

    Raises UserError for a file that cannot be read or is not TOML, or a key or a value that a grid cannot have.
    """
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
        raise _explain(error, path) from None


def _explain(error: ValidationError, path: Path) -> UserError:
    """The first thing that is wrong, in one line; unknown keys first, as they may be the cause of the others."""
    errors = error.errors()
    unknown_keys = [each for each in errors if each["type"] == "extra_forbidden"]
    first = (unknown_keys or errors)[0]
    *parents, key = first["loc"]  # the tables around it, then its own key
    where = str(path)
    if parents:
        where += f", {'.'.join(map(str, parents))}"
    if unknown_keys:
        return unknown_name_error("key", key, _table_of(parents).model_fields, where)
    return UserError(f"{where}: {key}: {first['msg'].lower()}")


def _table_of(parents: Sequence[int | str]) -> type[BaseModel]:
    """The table of the file that stands at a place."""
    if not parents:
        return GridSpec
    if "tune" in parents:
        return TuneSpec
    tables: dict[str, type[BaseModel]] = {"experiments": ExperimentSpec, "tables": TableSpec, "figures": FigureSpec}
    return tables.get(str(parents[0]), GridSpec)
