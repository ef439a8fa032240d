"""The gate's commands: `upbench compare`, `upbench regress` and `upbench calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.errors import UserError
from bench.gate import PAIRS

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
    from bench.gate import compare as judge
    from bench.gate.decide import Rule
    from bench.gate.sides import read_side

    rule = Rule(margin, level)
    _tell(judge.compare(read_side(base), read_side(head), rule), rule, markdown, json, junit)


def regress(
    base: Annotated[str, typer.Argument(metavar="BASE_REV", help="A commit, branch or tag.", show_default=False)],
    grid: Annotated[Path | None, typer.Option(help="The cells; default ablations/gate.toml of each side.")] = None,
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

    Status 1: regressed or missing.
    """
    import tempfile

    from bench.gate.checkout import cells_of, checked_out, repository
    from bench.gate.decide import Rule
    from bench.gate.regress import Cells, Trees
    from bench.gate.regress import regress as measure
    from bench.run.grid import load_grid
    from bench.run.runner import select

    root, rule = repository(), Rule(margin, level)
    if out and out.exists():
        raise UserError(f"--out {out} exists; name a folder that does not, so that nothing is mixed or lost")
    wanted = set(select(load_grid(grid or root / "ablations" / "gate.toml"), only).cells) if only else None
    with checked_out(root, base) as tree, tempfile.TemporaryDirectory() as scratch:
        cells = Cells.of(cells_of(tree, grid), cells_of(root, grid))
        if only and wanted is not None and not wanted & set(cells.base):
            raise UserError(
                f"--only {' '.join(only)}: revision {base} has none of these cells; there is nothing to compare"
            )
        cells = cells if wanted is None else cells.chosen(wanted)
        folder = out or Path(scratch)
        rows = measure(Trees(tree, root), cells, folder, pairs=pairs, rule=rule, console=Console())
    _tell(rows, rule, markdown, json, junit)


def calibrate(
    out: Annotated[
        Path, typer.Argument(help="Where recordings are kept; the same folder goes on.", show_default=False)
    ],
    comparisons: Annotated[int, typer.Option(min=1, help="Whole comparisons of the same code.")] = 20,
    slow: Annotated[int, typer.Option(min=1, help="Pairs of processes of each slower variant.")] = 120,
    repeats: Annotated[int, typer.Option(min=1, help="Comparisons for each defect in exact figures.")] = 5,
) -> None:
    """Measure the gate itself on this machine: its false alarms, and what it finds of defects put in on purpose.

    Takes about five minutes for each whole comparison; writes OUT/table.md.
    """
    from bench.gate import rates, study
    from bench.gate.checkout import repository

    console, root = Console(), repository()
    rates.rules()  # refuses now, not after hours, where another suite's rule is not installed
    study.record(root, out, comparisons=comparisons, pairs=PAIRS, slow=slow, console=console)
    exact = {name: rates.Rate(*counts) for name, counts in study.exact_found(root, out, repeats, console).items()}
    text = rates.to_markdown(out, rates.rates(out), exact)
    print(text)
    print(f"wrote {rates.write_table(out, text)}")


def _tell(rows: list[Any], rule: Any, markdown: Path | None, json: Path | None, junit: Path | None) -> None:
    from bench.gate import report
    from bench.gate.compare import failing
    from bench.run.store import write_atomically

    console = Console()
    if report.notable(rows):
        console.print(report.to_terminal(rows))
    print(report.headline(rows))
    texts = (
        (markdown, lambda: report.to_markdown(rows, rule)),
        (json, lambda: report.to_json(rows, rule)),
        (junit, lambda: report.to_junit(rows)),
    )
    for path, text in texts:
        if path is not None:
            try:
                write_atomically(path, text())
            except OSError as error:
                raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
    if failing(rows):
        raise typer.Exit(1)
