"""Figures that others published, from a TOML file beside the results folders; a page shows them after ours."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import UserError

FILE = "published.toml"


class PublishedTable(BaseModel):
    """values: one list a row, as long as `columns`, or empty where no figure could be checked."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    title: str
    source: str
    checked: bool
    columns: list[str]
    values: dict[str, list[float]]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tables: list[PublishedTable]


def read_published(path: Path) -> list[PublishedTable]:
    """The tables of a file. Raises UserError for one that is damaged, or has a row of another length than its table."""
    try:
        tables = _Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).tables
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    for table in tables:
        for row, values in table.values.items():
            if len(values) not in (0, len(table.columns)):
                raise UserError(
                    f"{path}: table {table.title!r}: row {row!r} needs {len(table.columns)} values, or none"
                )
            if values and not table.checked:
                raise UserError(f"{path}: table {table.title!r}: row {row!r} has values that nobody has checked")
    return tables


def to_markdown(tables: list[PublishedTable]) -> str:
    """A section of a page; a table without any figure is named in one line."""
    parts = ["## Published by others\n"]
    for table in tables:
        if not any(table.values.values()):
            parts.append(f"{table.title} ({table.source}): no figure, none could be checked against its source.\n")
            continue
        lines = [f"| | {' | '.join(table.columns)} |", f"| --- |{' ---: |' * len(table.columns)}"]
        for row, values in table.values.items():
            lines.append(f"| {row} | {' | '.join(map(str, values)) or 'not checked'} |")
        parts.append(f"### {table.title}\n\n" + "\n".join(lines) + f"\n\nSource: {table.source}.\n")
    return "\n".join(parts)
