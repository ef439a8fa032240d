"""The gate's commands: `upbench compare` and `upbench regress`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from upbench.errors import UserError
from upbench.gate import PAIRS

if TYPE_CHECKING:
    from upbench.gate.compare import Row
    from upbench.gate.decide import Rule

Margin = Annotated[float, typer.Option(min=1.0, help="Times whose ratio is within this do not matter.")]
Level = Annotated[float, typer.Option(min=0.0, max=1.0, help="False discovery rate, and 1 - level of the intervals.")]
Markdown = Annotated[Path | None, typer.Option(help="Write the verdict as a comment for a pull request.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write every verdict with its figures.")]
JUnit = Annotated[Path | None, typer.Option("--junit", help="Write the verdicts as test cases.")]


def compare(
    base: Annotated[
        Path, typer.Argument(help="A results folder, or recordings of `pytest bench/`.", show_default=False)
    ],
    head: Annotated[Path, typer.Argument(help="What is held against it.", show_default=False)],
    margin: Margin = 1.05,
    level: Level = 0.05,
    markdown: Markdown = None,
    json: Json = None,
    junit: JUnit = None,
) -> None:
    """Say of each figure of HEAD whether it improved, stayed, regressed or vanished. Status 1: regressed or missing."""
    from upbench.gate.compare import compare_sides
    from upbench.gate.decide import Rule
    from upbench.gate.sides import read_side

    rule = Rule(margin, level)
    rows = compare_sides(read_side(base), read_side(head), rule)
    _tell_verdicts(rows, rule, markdown, json, junit)


def regress(
    base: Annotated[str, typer.Argument(metavar="BASE_REV", help="A commit, branch or tag.", show_default=False)],
    grid: Annotated[
        Path | None,
        typer.Option(help="The cells of both sides; default: ablations/gate.toml or gate.toml of each side."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only cells with this setting, e.g. layer=pixel_dcl.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Fresh processes of each side.")] = PAIRS,
    out: Annotated[Path | None, typer.Option(help="Keep the recordings in this folder, which must not exist.")] = None,
    margin: Margin = 1.05,
    level: Level = 0.05,
    markdown: Markdown = None,
    json: Json = None,
    junit: JUnit = None,
) -> None:
    """Measure BASE_REV and the working tree in turn, compare, and measure once more what was flagged.

    It serves any git repository: upbench itself, or one with layers of its own. Status 1: regressed or missing.
    """
    import tempfile
    from contextlib import chdir

    from upbench.gate.checkout import checked_out, repository
    from upbench.gate.decide import Rule
    from upbench.gate.regress import Trees, choose_cells
    from upbench.gate.regress import regress as measure
    from upbench.grid.load import find_grid

    root = repository()
    rule = Rule(margin, level)
    if out and out.exists():
        raise UserError(f"--out {out} exists; name a folder that does not, so that nothing is mixed or lost")
    with checked_out(root, base) as tree, tempfile.TemporaryDirectory() as scratch:
        trees = Trees(tree, root)
        folder = out.resolve() if out else Path(scratch)
        grid_file = find_grid(str(grid)).resolve() if grid else None
        # a layer "./my_layer.py:MyLayer" of the grid is named relative to the root
        with chdir(root):
            cells = choose_cells(trees, grid_file, only or ())
            rows = measure(trees, cells, folder, pairs=pairs, rule=rule, console=Console())
    _tell_verdicts(rows, rule, markdown, json, junit)


def _tell_verdicts(rows: list[Row], rule: Rule, markdown: Path | None, json: Path | None, junit: Path | None) -> None:
    """Print the verdicts, write the files that were asked for, and end with status 1 where a figure fails."""
    from upbench.gate import report
    from upbench.gate.compare import select_failing

    if report.select_notable(rows):
        Console().print(report.to_terminal(rows))
    print(report.count_verdicts(rows))
    if markdown is not None:
        _write_text(markdown, report.to_markdown(rows, rule))
    if json is not None:
        _write_text(json, report.to_json(rows, rule))
    if junit is not None:
        _write_text(junit, report.to_junit(rows))
    if select_failing(rows):
        raise typer.Exit(1)


def _write_text(path: Path, text: str) -> None:
    """Write a file that the user named. Raises UserError where it cannot be written."""
    from upbench.files import write_atomically

    try:
        write_atomically(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
