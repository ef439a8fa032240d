"""`upbench run`: run every cell of a grid that has no result yet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from upbench.run.runner import Plan
    from upbench.store.record import Record
    from upbench.store.results import Results

GridName = Annotated[
    str, typer.Argument(help="A grid that comes with upbench, such as quick, or a TOML file.", show_default=False)
]
Out = Annotated[Path | None, typer.Option(help="Where results go; default results/runs/NAME for the grid NAME.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Cells at once; default: as many as fit the processor.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Run only cells with this setting, e.g. layer=pixel_dcl; may be repeated."),
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda, instead of what the grid says.")]
Data = Annotated[
    Path | None, typer.Option(envvar="UPBENCH_DATA", help="The folder that holds data sets which no package brings.")
]
Retry = Annotated[bool, typer.Option("--retry", help="Run failed cells again as well.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run, and write nothing.")]


def run(
    grid: GridName,
    out: Out = None,
    workers: Workers = None,
    only: Only = None,
    device: Device = None,
    data: Data = None,
    retry: Retry = False,
    dry_run: DryRun = False,
) -> None:
    """Run every cell of a grid that has no result yet, then write tables and plots.

    Safe to interrupt and to repeat: finished cells are kept, and the same command goes on from there.
    """
    from rich.console import Console

    from upbench.grid.load import find_grid, load_grid
    from upbench.grid.select import select
    from upbench.report.blocks import check_tables
    from upbench.run.executor import Terms
    from upbench.run.pool import LocalPool
    from upbench.run.progress import Progress
    from upbench.run.runner import check_ready, execute, plan
    from upbench.store.results import Records, gather_results
    from upbench.store.store import Store

    console = Console()
    file = find_grid(grid)
    loaded = load_grid(file, device=device, data=data)
    check_tables(loaded)
    store = Store(out or Path("results", "runs", file.stem))
    records = Records(store)
    planned = plan(select(loaded, only or ()), records, retry=retry)
    if dry_run:
        _print_plan(planned, store.root)
        return
    check_ready(planned.todo, data)
    terms = Terms(store.scratch, data, loaded.timeout, loaded.keep_seeds)
    with store.opened():
        store.write_grid(loaded)
        try:
            ended = execute(planned, records, LocalPool(), terms, workers=workers, progress=Progress(console))
        except KeyboardInterrupt:
            print("upbench: stopped; finished cells are kept, the same command goes on from there", file=sys.stderr)
            raise
    # of the whole grid, also where only a part of it was asked for; what has just been run is not read again
    _write_report(gather_results(loaded, records), console)
    _tell_failures(planned, ended, store.root, console)


def _print_plan(planned: Plan, root: Path) -> None:
    for cell in planned.todo:
        print(cell.id, cell)
    count = len(planned.waiting.choices)
    waiting = f", {count} more once their trials have ended" if count else ""
    print(f"{len(planned.todo)} cells to run, {len(planned.kept)} already there{waiting}, in {root}")


def _write_report(results: Results, console: Console) -> None:
    from upbench.report.write import write_plots, write_tables

    console.print(write_tables(results), highlight=False, markup=False, soft_wrap=True)
    for line in write_plots(results):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _tell_failures(planned: Plan, ended: list[Record], root: Path, console: Console) -> None:
    """Say how many cells have no figures, those of earlier runs too, and end with status 1 if there are any."""
    failed = len(planned.held) + sum(not record.ended_well for record in ended)
    if failed:
        console.print(f"{failed} cells did not end well: upbench status {root}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)
