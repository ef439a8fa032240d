"""The commands that read a results folder: status, tables, plots, page and recompute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upbench.cli.options import ResultsFolder
from upbench.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from upbench.run.recompute import Recomputed


def status(results: ResultsFolder) -> None:
    """Say how far a results folder is: cells by outcome, and why the others failed."""
    from rich.console import Console

    from upbench.report.status import describe
    from upbench.store.results import read_results

    describe(read_results(results), Console())


def tables(results: ResultsFolder) -> None:
    """Write the grid's tables (Markdown, LaTeX, CSV), the tidy frame (Parquet, CSV) and README.md.

    Of a folder of recordings (`pytest bench/ --benchmark-json`): one table of their times, and the frame.
    """
    from rich.console import Console

    from upbench.gate.frame import are_recordings, load_recordings, table_of
    from upbench.report.write import write_summaries, write_tables
    from upbench.store.results import read_results

    if are_recordings(results):
        frame = load_recordings(results)
        text = write_summaries(results, frame, [table_of(frame)])
    else:
        text = write_tables(read_results(results))
    Console().print(text, highlight=False, markup=False, soft_wrap=True)


def plots(results: ResultsFolder) -> None:
    """Draw the grid's figures as PNG files."""
    from upbench.report.write import write_plots
    from upbench.store.results import read_results

    for line in write_plots(read_results(results)):
        print(line)


def page(folder: Annotated[Path, typer.Argument(help="A folder of results folders.", show_default=False)]) -> None:
    """Write README.md of a folder of results folders: the tables and pictures of each."""
    from upbench.report.write import write_index

    print(f"wrote {write_index(folder)}")


def recompute(
    results: ResultsFolder,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A metric, measured by the run or not; may be repeated. Default: the run's."),
    ] = None,
) -> None:
    """Compute metrics again from kept predictions and samples (keep_seeds of a grid), beside the stored values.

    Status 1 if a value differs from the stored one.
    """
    from rich.console import Console

    from upbench.run.recompute import kept_cells, recompute_beside_stored
    from upbench.store.results import read_results
    from upbench.tasks.base import find_metric

    names = metric or ()
    for name in names:
        find_metric(name, "--metric")
    read = read_results(results)
    by_cell = [recompute_beside_stored(read, cell_id, names) for cell_id in kept_cells(read)]
    by_cell = [figures for figures in by_cell if figures]
    if not by_cell:
        raise UserError(f"no kept cell of {results} has what metric {', '.join(names)} compares")
    console = Console()
    for figures in by_cell:
        console.print(_recomputed_table(figures))
    everything = [figure for figures in by_cell for figure in figures]
    differing = sum(figure.differs for figure in everything)
    console.print(f"{len(everything)} values, {differing} differ from what is stored", highlight=False)
    if differing:
        raise typer.Exit(1)


def _recomputed_table(figures: list[Recomputed]) -> Table:
    """The figures of one cell, stored beside recomputed, to the last digit."""
    from rich.markup import escape
    from rich.table import Table

    cell = figures[0].cell
    table = Table(title=f"{cell} ({cell.id})", title_justify="left", title_style="", box=None, padding=(0, 2, 0, 0))
    table.add_column("metric")
    table.add_column("stored", justify="right")
    table.add_column("recomputed", justify="right")
    table.add_column("")
    for figure in figures:
        stored = "-" if figure.stored is None else repr(figure.stored)
        now = "-" if figure.now is None else repr(figure.now)
        table.add_row(escape(figure.metric), stored, now, "differs" if figure.differs else "")
    return table
