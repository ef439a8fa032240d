"""What upbench says when the input, not the program, is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input. The command prints it as one line and ends with status 2; no traceback."""


class Diverged(Exception):
    """Training or evaluation left the finite numbers. An outcome of a cell, not a failure of the suite."""


def unknown_name_error(what: str, name: object, allowed: Iterable[str], where: str = "") -> UserError:
    """The refusal of a name that is not on a list, with the nearest one that is.

    Args:
        what: what the name should be of: "layer", "option" and so on.
        name: the name that was given.
        allowed: the list.
        where: the place in a file or on the command line, if there is one.
    """
    names = sorted(allowed)
    message = f"unknown {what} {name!r}"
    if where:
        message += f" in {where}"
    message += ": "
    # what was given can be of any type: a number in a grid where a name should stand
    nearest = difflib.get_close_matches(str(name), names, n=1)
    if nearest:
        message += f"did you mean {nearest[0]!r}? "
    return UserError(f"{message}allowed: {', '.join(names) or 'none'}")
