"""What a cell's metrics compared, kept whole beside its result for the seeds that a grid's `keep_seeds` names.

From it any metric can be computed again, or one that the run did not ask for. Whether it is kept is no part of a
cell's identity. An archive holds `KIND.ours` and `KIND.reference` for each kind of metric, and the facts of the data.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.metrics.base import Compared


def write_kept(path: Path, compared: Compared, facts: Mapping[str, Any]) -> None:
    """compared: kind of metric -> (ours, reference). facts: numbers and tuples of strings."""
    arrays: dict[str, NDArray] = {f"{kind}.ours": ours for kind, (ours, _) in compared.items()}
    arrays |= {f"{kind}.reference": reference for kind, (_, reference) in compared.items()}
    arrays |= {name: np.array(value) for name, value in facts.items()}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def read_kept(path: Path) -> tuple[Compared, dict[str, Any]]:
    """What `write_kept` was given. Raises UserError if there is none or the archive is damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        kinds = [name.removesuffix(".ours") for name in arrays if name.endswith(".ours")]
        compared = {kind: (arrays.pop(f"{kind}.ours"), arrays.pop(f"{kind}.reference")) for kind in kinds}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: nothing was kept of this cell") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is damaged ({error}); delete {path.name.split('.')[0]}.json beside it and run the grid again"
        ) from None
    return compared, {name: tuple(value.tolist()) if value.ndim else value.item() for name, value in arrays.items()}
