"""Figures that others published, from a TOML file beside the results folders; a page shows them after ours."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from upbench.errors import UserError

FILE = "published.toml"


class PublishedTable(BaseModel):
    """A table of a paper.

    Attributes:
        title: the headline.
        source: where it was published.
        checked: whether somebody has compared the figures with their source.
        columns: the headers.
        values: by row label, one figure a column, or none where no figure could be checked.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    title: str
    source: str
    checked: bool
    columns: list[str]
    values: dict[str, list[float]]


class _Document(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    tables: list[PublishedTable]


def read_published(path: Path) -> list[PublishedTable]:
    """The tables of a file. Raises UserError for one that is damaged, or has a row of another length than its table."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        tables = _Document.model_validate(document).tables
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].lower()
        raise UserError(f"{path}: {place}: {message}") from None
    for table in tables:
        _check_rows(table, f"{path}: table {table.title!r}")
    return tables


def published_to_markdown(tables: list[PublishedTable]) -> str:
    """Write a section of a page; a table without any figure is named in one line."""
    parts = ["## Published by others\n"]
    # a table without figures is named all the same, so that nobody looks for it again
    for table in tables:
        if any(table.values.values()):
            parts.append(_write_table(table))
        else:
            parts.append(f"{table.title} ({table.source}): no figure, none could be checked against its source.\n")
    return "\n".join(parts)


def _check_rows(table: PublishedTable, where: str) -> None:
    """Raise UserError for a row of another length than its table, or with figures that nobody has checked."""
    columns = len(table.columns)
    for row, values in table.values.items():
        if len(values) not in (0, columns):
            raise UserError(f"{where}: row {row!r} needs {columns} values, or none")
        # a figure copied from memory would stand beside measured ones
        if values and not table.checked:
            raise UserError(f"{where}: row {row!r} has values that nobody has checked")


def _write_table(table: PublishedTable) -> str:
    """The headline, the table and its source."""
    headers = " | ".join(table.columns)
    alignment = " ---: |" * len(table.columns)
    lines = [
        f"| | {headers} |",
        f"| --- |{alignment}",
    ]
    for row, values in table.values.items():
        figures = " | ".join(map(str, values))
        if not values:
            figures = "not checked"
        lines.append(f"| {row} | {figures} |")
    body = "\n".join(lines)
    return f"### {table.title}\n\n{body}\n\nSource: {table.source}.\n"
