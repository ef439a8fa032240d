"""What a cell's metrics compared, kept whole beside its result for the seeds that a grid's `keep_seeds` names.

From it any metric can be computed again, or one that the run did not ask for. Whether it is kept is no part of a
cell's identity. An archive holds `NAME.ours` and `NAME.reference` for each thing that is compared, such as "masks",
and the facts of the data.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upbench.errors import UserError
from upbench.metrics.base import Compared

OURS, REFERENCE = ".ours", ".reference"


def write_kept(path: Path, compared: Compared, facts: Mapping[str, Any]) -> None:
    """Write an archive.

    Args:
        path: its file.
        compared: what is compared, by name: our arrays and those they are held against.
        facts: numbers and tuples of strings that the data know.
    """
    arrays: dict[str, NDArray] = {}
    # two arrays a name, as an archive holds no pairs
    for name, (ours, reference) in compared.items():
        arrays[name + OURS] = ours
        arrays[name + REFERENCE] = reference
    for name, value in facts.items():
        arrays[name] = np.array(value)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def read_kept(path: Path) -> tuple[Compared, dict[str, Any]]:
    """What `write_kept` was given. Raises UserError if there is no archive or it is damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        compared = {}
        for key in list(arrays):
            if key.endswith(OURS):
                name = key.removesuffix(OURS)
                compared[name] = (arrays.pop(key), arrays.pop(name + REFERENCE))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: nothing was kept of this cell") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        record = path.name.split(".")[0] + ".json"
        raise UserError(f"{path} is damaged ({error}); delete {record} beside it and run the grid again") from None
    # what is left over in the archive are the facts
    facts: dict[str, Any] = {}
    for name, value in arrays.items():
        facts[name] = tuple(value.tolist()) if value.ndim else value.item()
    return compared, facts
