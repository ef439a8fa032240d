"""What upbench says when the input, not the program, is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input. The command prints it as one line and ends with status 2; no traceback."""


class Diverged(Exception):
    """Training or evaluation left the finite numbers. An outcome of a cell, not a failure of the suite."""


def unknown(kind: str, name: object, allowed: Iterable[str], where: str = "") -> UserError:
    """The refusal of a name that is not on the list, with the nearest one that is."""
    names = sorted(allowed)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    place = f" in {where}" if where else ""
    return UserError(f"unknown {kind} {name!r}{place}: {hint}allowed: {', '.join(names) or 'none'}")
