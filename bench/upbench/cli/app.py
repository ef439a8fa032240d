"""The command `upbench`: which commands there are, and what becomes of errors."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from upbench import __version__
from upbench.cli import check, components, gate, results, run
from upbench.errors import UserError

app = typer.Typer(
    name="upbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure learned up-sampling layers: latency, memory and trained quality, in one table.",
    epilog="Start with: upbench run quick (at most 10 minutes on 2 cores), then open results/runs/quick/README.md.",
)
UsageError: Any = typer.BadParameter.__base__  # the base of all that the parser refuses; typer does not export it


def main() -> NoReturn:
    """Run the command. Status 0: done; 1: done, but a cell failed; 2: bad input; 130: interrupted.

    SIGTERM ends it as Ctrl-C does: locks are released, and a checkout beside the tree goes away.
    """
    # before anything is made that must be taken away again
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(app(standalone_mode=False))
    except UserError as error:
        _refuse(str(error))
    except UsageError as error:
        _refuse(f"{error.format_message()} See `upbench --help`.")
    except BrokenPipeError:
        # whoever read the output has gone: what is still buffered must not raise at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _refuse(message: str) -> NoReturn:
    # one line, whatever the message holds
    print("upbench: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"upbench {__version__}")
        raise typer.Exit


app.command("list")(components.list_components)
app.command("layer")(components.show_layer)
app.command("check")(check.check)
app.command("run")(run.run)
app.command("status")(results.status)
app.command("tables")(results.tables)
app.command("plots")(results.plots)
app.command("page")(results.page)
app.command("recompute")(results.recompute)
app.command("compare")(gate.compare)
app.command("regress")(gate.regress)
