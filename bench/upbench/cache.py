"""The folder of what can be made again: decoded data, and arrays that take long to compute.

It is UPBENCH_CACHE, or else `upbench` in the user's cache folder. It may be deleted at any time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


def cache_folder() -> Path:
    """The folder where decoded data and computed arrays are kept. It need not exist yet."""
    chosen = os.environ.get("UPBENCH_CACHE")
    if chosen:
        return Path(chosen)
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache) / "upbench"


def remember(name: str, make: Callable[[], dict[str, NDArray]]) -> dict[str, NDArray]:
    """The arrays that `make` returns, or returned under this name before, to this process or to another.

    Where the cache cannot be written the arrays are made each time.
    """
    entry = cache_folder() / f"{name}.npz"
    try:
        with entry.open("rb") as stream, np.load(stream) as archive:
            return dict(archive)
    except (OSError, ValueError, BadZipFile):  # the entry is not there, or damaged
        arrays = make()
    # a second process may write the same entry: each writes a file of its own, and the last rename wins
    partial = entry.with_suffix(f".{os.getpid()}")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as target:
            np.savez(target, **arrays)  # type: ignore[arg-type]
        partial.replace(entry)
    except OSError:
        with suppress(OSError):
            partial.unlink()
    return arrays
