"""The command `upbench`: parses, calls, prints."""

from __future__ import annotations

import os
import signal
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import __version__
from bench.errors import UserError
from bench.gate import commands

app = typer.Typer(
    name="upbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure learned up-sampling layers: latency, memory and trained quality, in one table.",
    epilog="Start with: upbench run ablations/quick.toml (at most 10 minutes on 2 cores), then open "
    "results/runs/quick/README.md.",
)
UsageError: Any = typer.BadParameter.__base__  # the base of all that the parser refuses; typer does not export it

GridFile = Annotated[
    Path, typer.Argument(help="The grid, a TOML file such as ablations/quick.toml.", show_default=False)
]
Results = Annotated[Path, typer.Argument(help="A results folder, as `run` made it.", show_default=False)]


def main() -> NoReturn:
    """Run the command. Status 0: done; 1: done, but a cell failed; 2: bad input; 130: interrupted.

    SIGTERM ends it as Ctrl-C does: locks are released, and a checkout beside the tree goes away.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(app(standalone_mode=False))
    except UserError as error:
        _refuse(str(error))
    except UsageError as error:
        _refuse(f"{error.format_message()} See `upbench --help`.")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _refuse(message: str) -> NoReturn:
    print("upbench: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"upbench {__version__}")
        raise typer.Exit


@app.command("list")
def list_() -> None:
    """Name every task, model, layer, data set and metric with its options and defaults."""
    from bench.data import DATA
    from bench.layers import LAYERS
    from bench.metrics import METRICS
    from bench.models import MODELS
    from bench.tasks import TASKS

    console = Console()
    for registry in (TASKS, MODELS, LAYERS, DATA, METRICS):
        table = Table(
            title=f"{registry.kind}s", title_justify="left", box=None, padding=(0, 2, 0, 0), title_style="bold"
        )
        table.add_column("name", no_wrap=True)
        table.add_column("what it is", ratio=2)
        table.add_column("options = default", ratio=2)
        for name in registry:
            component = registry.get(name)
            described = getattr(component, "compute", component)
            summary = " ".join((described.__doc__ or "").split("\n\n")[0].split())
            choices = {} if registry is METRICS else registry.choices(name)
            options = ", ".join(f"{key} = {' | '.join(map(str, values))}" for key, values in choices.items())
            table.add_row(name, escape(summary), escape(options))
        console.print(table)
        console.print()


@app.command()
def layer(
    name: Annotated[str, typer.Argument(help="A layer of `upbench list`.", show_default=False)],
    options: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the layer; may be repeated.")
    ] = None,
    channels: Annotated[int, typer.Option(help="Channels in and out.")] = 16,
    dims: Annotated[int, typer.Option(help="1 to 3; pictures are of 1 and 2.")] = 2,
    factor: Annotated[int, typer.Option(help="Up-sampling factor.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Draw its pictures into this folder.")] = None,
) -> None:
    """Say what a layer is before training: what each phase sees and reads, and how loud it answers a constant."""
    import torch

    from bench.layers import build
    from bench.layers.portrait import draw, portray

    torch.manual_seed(0)
    try:
        built = build(name, channels, channels, dims=dims, factor=factor, **_settings(options or ()))
        paths = draw(built, out) if out else []
    except ValueError as error:
        raise UserError(f"layer {name!r}: {error}") from None
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}") from None
    portrait = portray(built)
    table = Table("phase", "sees", "input pixels read", "gain", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in portrait.phases:
        table.add_row(str(row.phase), row.sees, str(row.pixels), f"{row.gain:.3f}")
    Console().print(table)
    print(
        f"{portrait.parameters:,} parameters, {portrait.multiply_adds:,} multiply-adds for one input pixel, "
        f"checkerboard score {portrait.checkerboard:.3f} (0: a constant stays one)"
    )
    for path in paths:
        print(f"drew {path}")


def _settings(options: Iterable[str]) -> dict[str, Any]:
    """OPTION=VALUE pairs; a value is read as TOML where it is TOML, and as text elsewhere."""
    settings = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise UserError(f"--set {option!r} must be OPTION=VALUE, for example kernel=5")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value
    return settings


@app.command()
def run(
    grid_file: GridFile,
    out: Annotated[
        Path | None, typer.Option(help="Where results go; default results/runs/NAME for ablations/NAME.toml.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cells at once; default: as many as fit the processor.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Run only cells with this setting, e.g. layer=pixel_dcl; may be repeated."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda, instead of what the grid says.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(envvar="UPBENCH_DATA", help="The folder that holds data sets which no package brings."),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed cells again as well.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and write nothing.")] = False,
) -> None:
    """Run every cell of a grid that has no result yet, then write tables and plots.

    Safe to interrupt and to repeat: finished cells are kept, and the same command goes on from there.
    """
    from bench.report.summary import check_tables
    from bench.run.grid import load_grid
    from bench.run.progress import Progress
    from bench.run.runner import check_ready, execute, plan, select
    from bench.run.store import Store

    console = Console()
    grid = load_grid(grid_file, device=device)
    check_tables(grid)
    store = Store(out or Path("results", "runs", grid_file.stem))
    planned = plan(select(grid, only or ()), store, retry=retry)
    if dry_run:
        for cell in planned.todo:
            print(cell.id, cell)
        waiting = f", {count} more once their trials have ended" if (count := len(planned.waiting.choices)) else ""
        print(f"{len(planned.todo)} cells to run, {len(planned.kept)} already there{waiting}, in {store.root}")
        return
    check_ready(planned.todo, data)
    with store.opened():
        store.write_grid(grid)
        try:
            records = execute(
                planned,
                store,
                workers=workers,
                data=data,
                timeout=grid.timeout,
                progress=Progress(console),
                keep_seeds=grid.keep_seeds,
            )
        except KeyboardInterrupt:
            print("upbench: stopped; finished cells are kept, the same command goes on from there", file=sys.stderr)
            raise
    _write_tables(store.root, console)
    _write_plots(store.root, console)
    failed = len(planned.held) + sum(record.outcome != "ok" for record in records)
    if failed:
        console.print(f"{failed} cells did not end well: upbench status {store.root}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)


@app.command()
def status(results: Results) -> None:
    """Say how far a results folder is: cells by outcome, and why the others failed."""
    from bench.report.status import describe

    describe(results, Console())


@app.command()
def tables(results: Results) -> None:
    """Write the grid's tables (Markdown, LaTeX, CSV), the tidy frame (Parquet, CSV) and README.md.

    Of a folder of recordings (`pytest bench/ --benchmark-json`): one table of their times, and the frame.
    """
    from bench.gate.frame import are_recordings, load_recordings, table_of
    from bench.report.page import write_summaries

    if are_recordings(results):
        frame = load_recordings(results)
        text = write_summaries(results, frame, [table_of(frame)])
        Console().print(text, highlight=False, markup=False, soft_wrap=True)
    else:
        _write_tables(results, Console())


@app.command()
def plots(results: Results) -> None:
    """Draw the grid's figures as PNG files."""
    _write_plots(results, Console())


@app.command()
def page(folder: Annotated[Path, typer.Argument(help="A folder of results folders.", show_default=False)]) -> None:
    """Write README.md of a folder of results folders: the tables and pictures of each."""
    from bench.report.page import write_index

    print(f"wrote {write_index(folder)}")


@app.command()
def recompute(
    results: Results,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A metric, measured by the run or not; may be repeated. Default: the run's."),
    ] = None,
) -> None:
    """Compute metrics again from kept predictions and samples (keep_seeds of a grid), beside the stored values.

    Status 1 if a value differs from the stored one.
    """
    from bench.run.recompute import compare, kept_cells
    from bench.run.store import Store
    from bench.tasks.base import find_metric

    for name in metric or ():
        find_metric(name, "--metric")
    store = Store(results)
    found = [compared for cell_id in kept_cells(store) if (compared := compare(store, cell_id, metric or ()))]
    if not found:
        raise UserError(f"no kept cell of {results} has what metric {', '.join(metric or ())} compares")
    console = Console()
    for comparisons in found:
        cell = comparisons[0].cell
        table = Table(title=f"{cell} ({cell.id})", title_justify="left", title_style="", box=None, padding=(0, 2, 0, 0))
        for column in ("metric", "stored", "recomputed", ""):
            table.add_column(column, justify="right" if column in ("stored", "recomputed") else "left")
        for each in comparisons:
            figures = ("-" if value is None else repr(value) for value in (each.stored, each.recomputed))
            table.add_row(escape(each.metric), *figures, "differs" if each.differs else "")
        console.print(table)
    differing = sum(each.differs for comparisons in found for each in comparisons)
    console.print(f"{sum(map(len, found))} values, {differing} differ from what is stored", highlight=False)
    if differing:
        raise typer.Exit(1)


def _write_tables(results: Path, console: Console) -> None:
    from bench.report.page import write_tables

    console.print(write_tables(results), highlight=False, markup=False, soft_wrap=True)


def _write_plots(results: Path, console: Console) -> None:
    from bench.report.page import write_plots

    for line in write_plots(results):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


for command in (commands.compare, commands.regress, commands.calibrate):
    app.command()(command)
