"""The command `upbench check`: whether a layer, registered or of the user's own, keeps the contract of all layers."""

from __future__ import annotations

from typing import Annotated

import typer

from upbench.cli.options import LayerOptions, read_settings


def check(
    name: Annotated[
        str,
        typer.Argument(
            help="A layer of `upbench list`, ./file.py:Name or package.module:Name.",
            metavar="LAYER",
            show_default=False,
        ),
    ],
    options: LayerOptions = None,
) -> None:
    """Check a layer: shapes, gradients, memory formats, FLOPs against its formula, the variance it starts with.

    Takes seconds on one core. One line a check; status 0: all passed, 1: a check failed, 2: bad input.
    """
    # torch takes seconds to import: `upbench --help` does without
    from upbench.layers.inspect.conformance import check_layer

    findings = check_layer(name, read_settings(options or ()))
    words = {True: "passed", False: "FAILED", None: "not checked"}
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        print(f"{words[finding.passed]:<11}  {finding.check:<{width}}  {finding.message}")
    failed = sum(finding.passed is False for finding in findings)
    checked = sum(finding.passed is not None for finding in findings)
    if failed:
        print(f"{failed} of {checked} checks failed")
        raise typer.Exit(1)
    print(f"{checked} checks passed")
