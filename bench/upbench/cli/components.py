"""`upbench list` and `upbench layer`: what there is, and what a layer is before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upbench.cli.options import LayerOptions, read_settings
from upbench.errors import UserError

if TYPE_CHECKING:
    from upbench.catalogue import Option
    from upbench.layers.inspect.portrait import Portrait


def list_components() -> None:
    """Name every task, model, layer, data set and metric with its options and defaults."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from upbench.catalogue import describe
    from upbench.data import DATA
    from upbench.layers import LAYERS
    from upbench.metrics import METRICS
    from upbench.models import MODELS
    from upbench.tasks import TASKS

    console = Console()
    for registry in (TASKS, MODELS, LAYERS, DATA, METRICS):
        table = Table(
            title=f"{registry.noun}s", title_justify="left", box=None, padding=(0, 2, 0, 0), title_style="bold"
        )
        table.add_column("name", no_wrap=True)
        table.add_column("what it is", ratio=2)
        table.add_column("options = default", ratio=2)
        for name in registry:
            # from the source: importing every component would take seconds
            description = describe(registry.locate(name), registry.given)
            options = ", ".join(_format_option(option) for option in description.options)
            table.add_row(name, escape(description.summary), escape(options))
        console.print(table)
        console.print()


def _format_option(option: Option) -> str:
    """An option with its default first, then the other values it can take where they are listed."""
    # without its quotes, but for a text without letters, of which nothing else would be left
    default = option.default.strip("'\"") or "''"
    others = [choice for choice in option.choices if choice != default]
    return f"{option.name} = {' | '.join([default, *others])}"


def show_layer(
    name: Annotated[
        str,
        typer.Argument(help="A layer of `upbench list`, or one of your own: ./file.py:Name.", show_default=False),
    ],
    options: LayerOptions = None,
    channels: Annotated[int, typer.Option(help="Channels in and out.")] = 16,
    dims: Annotated[int, typer.Option(help="1 to 3; pictures are of 1 and 2.")] = 2,
    scale_factor: Annotated[int, typer.Option(help="Up-sampling factor.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Draw its pictures into this folder.")] = None,
) -> None:
    """Say what a layer is before training: what each phase sees and reads, and how loud it answers a constant."""
    import torch

    from upbench.layers import build
    from upbench.layers.inspect.portrait import draw, portray

    torch.manual_seed(0)
    settings = read_settings(options or ())
    try:
        layer = build(name, channels, channels, dims=dims, scale_factor=scale_factor, **settings)
        paths = draw(layer, out) if out else []
    except ValueError as error:
        raise UserError(f"layer {name!r}: {error}") from None
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}") from None
    _print_portrait(portray(layer))
    for path in paths:
        print(f"drew {path}")


def _print_portrait(portrait: Portrait) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("phase", "sees", "input pixels read", "gain", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in portrait.phases:
        table.add_row(str(row.phase), row.sees, str(row.pixels), f"{row.gain:.3f}")
    Console().print(table)
    print(
        f"{portrait.parameters:,} parameters, {portrait.multiply_adds:,} multiply-adds for one input pixel, "
        f"checkerboard score {portrait.checkerboard:.3f} (0: a constant stays one)"
    )
