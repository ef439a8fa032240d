"""What data sets say when the user's folder or the files in it are missing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from upbench.errors import UserError

SHOWN = 8  # names of a folder that a refusal lists


def require_folder(folder: Path | None, name: str, content: str) -> Path:
    """The data folder that the user named.

    Args:
        folder: what the user named, None if nothing.
        name: the data set that needs it.
        content: what the data set expects in it.

    Raises:
        UserError: the folder was not named or does not exist.
    """
    if folder is None:
        raise UserError(f"data set {name!r} needs the folder that holds {content}: name it with --data FOLDER")
    if not folder.is_dir():
        raise UserError(f"data folder {folder} does not exist")
    return folder


def list_absent(folder: Path, patterns: Iterable[str]) -> list[str]:
    """The glob patterns that nothing in a folder matches."""
    return [pattern for pattern in patterns if not any(folder.glob(pattern))]


def describe_missing(name: str, path: Path, folder: Path, hint: str = "") -> UserError:
    """The error, to be raised, that says what was expected where, and what is there instead.

    Args:
        name: the data set that misses something.
        path: what is missing, a file or a folder below `folder`.
        folder: the data folder, which exists.
        hint: a clause that ends the message.
    """
    # a folder above may be missing too
    nearest = path.parent
    while not nearest.is_dir():
        nearest = nearest.parent
    present = sorted(entry.name for entry in nearest.iterdir())
    shown = present[:SHOWN]
    listed = ", ".join(shown) or "nothing"
    not_shown = len(present) - SHOWN
    if not_shown > 0:
        listed += f" and {not_shown} more"
    expected = path.relative_to(folder)
    message = f"data set {name!r} expects {expected} below {folder}; it is not there"
    message += f"; {nearest} holds {listed}"
    if hint:
        message += f"; {hint}"
    return UserError(message)


def describe_damaged(path: Path, reason: object) -> UserError:
    """The error, to be raised, that says what is wrong with a file."""
    return UserError(f"data file {path} is damaged: {reason}")


def require_files(paths: Iterable[tuple[str, Path]], name: str) -> None:
    """Refuse the first path at which there is no file.

    Args:
        paths: pairs of the name of a sample and a file that it needs.
        name: the data set that lists the samples.

    Raises:
        UserError: a file is missing. The message names its sample.
    """

    # one listing of a folder is much faster than a look at each of 200,000 files
    @cache
    def list_names(parent: Path) -> frozenset[str]:
        """The names of what is in a folder; none if there is no folder."""
        if not parent.is_dir():
            return frozenset()
        return frozenset(path.name for path in parent.iterdir())

    for sample, path in paths:
        if path.name not in list_names(path.parent):
            raise UserError(f"data set {name!r} lists {sample}, but {path} does not exist")
