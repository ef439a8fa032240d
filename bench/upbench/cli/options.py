"""What several commands share."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from upbench.errors import UserError

ResultsFolder = Annotated[Path, typer.Argument(help="A results folder, as `run` made it.", show_default=False)]
LayerOptions = Annotated[
    list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the layer; may be repeated.")
]


def read_settings(options: Iterable[str]) -> dict[str, Any]:
    """OPTION=VALUE pairs as a dict; a value is read as TOML where it is TOML, and as text elsewhere.

    Raises UserError for anything that is no such pair.
    """
    settings: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise UserError(f"--set {option!r} must be OPTION=VALUE, for example kernel_size=5")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value
    return settings
