"""The page of a run: built once from its facts, summaries and pictures, then written in whatever form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upbench.report.frame import to_frame
from upbench.report.summary import Summary, summarise
from upbench.store.results import Results


@dataclass(frozen=True)
class Facts:
    """What stands behind the figures of a page.

    Attributes:
        ended_well: the number of cells that have figures.
        cells: the number of all cells of the grid, open ones included.
        machines: each machine that measured a cell, with the versions of its software, in words.
    """

    ended_well: int
    cells: int
    machines: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A picture that was drawn of the run.

    Attributes:
        title: the headline.
        path: its file, from the results folder, with forward slashes.
    """

    title: str
    path: str


@dataclass(frozen=True)
class Page:
    """All that the page of a run shows, in order, before it is text.

    Attributes:
        title: the headline.
        facts: what stands behind the figures.
        tables: the tables.
        pictures: those of the grid's figures that are drawn.
    """

    title: str
    facts: Facts
    tables: tuple[Summary, ...]
    pictures: tuple[Picture, ...]


def build_page(results: Results, tables: Sequence[Summary] | None = None) -> Page:
    """Build the page of a run.

    Args:
        results: what the run left. Its pictures are those that its folder holds by now.
        tables: the summaries of the grid's tables, where the caller has them already.

    Returns:
        The page.

    Raises:
        UserError: a table would compare what cannot be compared, see `upbench.report.summary.summarise`.
    """
    if tables is None:
        tables = summarise(to_frame(results.grid, results.records), results.grid.tables)
    return Page(
        title=results.grid.title,
        facts=_gather_facts(results),
        tables=tuple(tables),
        pictures=_find_pictures(results),
    )


def picture_path(root: Path, name: str) -> Path:
    """Where the picture of a figure of this name is drawn."""
    return root / "figures" / f"{name}.png"


def _find_pictures(results: Results) -> tuple[Picture, ...]:
    """The figures of the grid that are drawn by now."""
    pictures = []
    for spec in results.grid.figures:
        path = picture_path(results.root, spec.name)
        if path.exists():
            # slashes also on Windows, as the path ends up in a page
            relative = path.relative_to(results.root).as_posix()
            pictures.append(Picture(spec.title, relative))
    return tuple(pictures)


def _gather_facts(results: Results) -> Facts:
    """What stands behind the figures of a run."""
    ended_well = 0
    machines = set()
    # a set, since most records of a run name the same machine
    for record in results.records.values():
        ended_well += record.ended_well
        machines.add(_describe_machine(record.environment))
    cells = len(results.grid.cells) + len(results.grid.choices)
    return Facts(ended_well, cells, tuple(sorted(machines)))


def _describe_machine(environment: Mapping[str, Any]) -> str:
    """The machine and the software of a record in words."""
    libraries = environment["libraries"]
    facts = [
        str(environment["processor"]),
        f"{environment['cores']} cores",
        f"Python {environment['python']}",
        f"torch {libraries['torch']}",
        f"upbench {environment['suite']}",
        f"commit {environment['commit']}",
    ]
    return ", ".join(facts)
