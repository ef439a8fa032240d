"""What one process records, as `pytest bench/ --benchmark-json` writes it, and the ratios it holds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError

FORMAT = 1
ANCHOR = "anchor"  # stands in the place of a cell's id: torch's own transposed convolution


class ExactFigure(BaseModel):
    """A figure that does not vary with the mood of the machine. varies: "never" or "seed"."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    metric: str
    value: float
    unit: str
    better: str
    varies: str


class Recorded(BaseModel):
    """The `upbench` table of a recording. cells: canonical JSON by id. exact: figures by cell, if asked for.

    failed: what was raised, by the cell that raised it.
    """

    model_config = ConfigDict(extra="forbid")

    format: int
    cells: dict[str, dict[str, Any]]
    exact: dict[str, list[ExactFigure]] | None = None
    failed: dict[str, str] = {}
    environment: dict[str, Any]


class _Timing(BaseModel):
    cell: str
    mode: str
    block: int


class _Stats(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    data: list[float] = Field(min_length=1)


class _Benchmark(BaseModel):
    extra_info: _Timing
    stats: _Stats


class _Document(BaseModel):
    upbench: Recorded
    benchmarks: list[_Benchmark]


class Recording(BaseModel):
    """One process: its table, and the seconds of every round, {(cell or ANCHOR, mode): {block: [seconds, ...]}}."""

    recorded: Recorded
    seconds: dict[tuple[str, str], dict[int, list[float]]]

    def ratios(self) -> dict[tuple[str, str], float]:
        """Time of each (cell, mode) as a multiple of the anchor's in the same process, lower quartile over the blocks.

        The fastest round stands for a block: what disturbs a round only ever makes it longer. So does the quartile for
        a process: the anchor has more rounds in a block and is disturbed less often, so ratios err upwards. From
        process to process it varies by a sixth less than the median.
        """
        return {
            (cell, mode): float(
                np.quantile(
                    [min(rounds) / min(self.seconds[ANCHOR, mode][block]) for block, rounds in blocks.items()], 0.25
                )
            )
            for (cell, mode), blocks in self.seconds.items()
            if cell != ANCHOR
        }


def read_recording(path: Path) -> Recording:
    """Raises UserError for a file that is missing, damaged, foreign, of another format, or lacks the anchor."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"recording {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise UserError(f"recording {path} is damaged: {error}") from None
    if not isinstance(document, dict) or "upbench" not in document:
        raise UserError(f"{path} is not a recording of `pytest bench/ --benchmark-json`: it has no table 'upbench'")
    table = document["upbench"]
    if not isinstance(table, Mapping) or table.get("format") != FORMAT:
        found = table.get("format") if isinstance(table, Mapping) else table
        raise UserError(f"recording {path} has format {found!r}; this version reads format {FORMAT}: record it anew")
    try:
        parsed = _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"recording {path} is damaged ({'.'.join(map(str, first['loc']))}: {first['msg']})") from None
    return Recording(recorded=parsed.upbench, seconds=_seconds(parsed, path))


def _seconds(document: _Document, path: Path) -> dict[tuple[str, str], dict[int, list[float]]]:
    seconds: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for benchmark in document.benchmarks:
        timing = benchmark.extra_info
        if timing.cell != ANCHOR and timing.cell not in document.upbench.cells:
            raise UserError(f"recording {path} is damaged: it times cell {timing.cell}, which it does not describe")
        if min(benchmark.stats.data) <= 0:
            raise UserError(f"recording {path} is damaged: {timing.cell} took {min(benchmark.stats.data)} s")
        seconds[timing.cell, timing.mode][timing.block] += benchmark.stats.data
    for (cell, mode), blocks in seconds.items():
        if lacking := set(blocks) - set(seconds.get((ANCHOR, mode), ())):
            raise UserError(f"recording {path}: {cell} {mode} has no anchor in block {min(lacking)}: record it as well")
    return dict(seconds)
