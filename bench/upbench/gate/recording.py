"""What one process records, as `pytest bench/ --benchmark-json` writes it, and the ratios it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from upbench.errors import UserError
from upbench.measurement import Measurement

FORMAT = 1
ANCHOR = "anchor"  # stands in the place of a cell's id: torch's own transposed convolution

Blocks = dict[int, list[float]]  # the seconds of every round, by block


class Recorded(BaseModel):
    """The `upbench` table of a recording.

    Attributes:
        format: the version of this form.
        cells: the canonical JSON of each cell, by id.
        exact: the figures of each cell that do not vary, by id; None where nobody asked for them.
        failed: what a cell raised, by the id of the cell.
        environment: versions, machine, and its state before and after.
    """

    model_config = ConfigDict(extra="forbid")

    format: int
    cells: dict[str, dict[str, Any]]
    exact: dict[str, list[Measurement]] | None = None
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
    """One process.

    Attributes:
        recorded: its `upbench` table.
        seconds: the seconds of every round, {(cell or ANCHOR, mode): {block: [seconds, ...]}}.
    """

    recorded: Recorded
    seconds: dict[tuple[str, str], Blocks]

    def ratios(self) -> dict[tuple[str, str], float]:
        """Time of each (cell, mode) as a multiple of the anchor's in the same process, lower quartile over the blocks.

        The fastest round stands for a block: what disturbs a round only ever makes it longer. So does the quartile for
        a process: the anchor has more rounds in a block and is disturbed less often, so ratios err upwards. From
        process to process it varies by a sixth less than the median.
        """
        ratios = {}
        for (cell, mode), blocks in self.seconds.items():
            if cell == ANCHOR:
                continue
            anchor_blocks = self.seconds[ANCHOR, mode]
            block_ratios = []
            for block, rounds in blocks.items():
                fastest = min(rounds)
                anchors_fastest = min(anchor_blocks[block])
                block_ratios.append(fastest / anchors_fastest)
            ratios[cell, mode] = float(np.quantile(block_ratios, 0.25))
        return ratios


def make_anchor_ratio(mode: str, ratio: float) -> Measurement:
    """What `Recording.ratios` says of one cell in one mode, under the name that tables show.

    The name is not that of the speed task's `forward_time_ratio`, whose denominator is the suite's transposed
    convolution and not torch's own.
    """
    return Measurement(f"{mode}_time_anchor_ratio", ratio, "x anchor", "lower", "machine")


def read_recording(path: Path) -> Recording:
    """Read the recording of one process.

    Raises UserError for a file that is missing, damaged, foreign, of another format, or lacks the anchor.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"recording {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise UserError(f"recording {path} is damaged: {error}") from None
    _check_format(document, path)
    try:
        parsed = _Document.model_validate(document)
    except ValidationError as error:
        # of many errors the first says enough, in one line
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"recording {path} is damaged ({place}: {first['msg']})") from None
    seconds = _gather_seconds(parsed, path)
    _check_anchors(seconds, path)
    return Recording(recorded=parsed.upbench, seconds=seconds)


def _check_format(document: Any, path: Path) -> None:
    """Raises UserError for JSON that another program or another version wrote."""
    if not isinstance(document, dict) or "upbench" not in document:
        raise UserError(f"{path} is not a recording of `pytest bench/ --benchmark-json`: it has no table 'upbench'")
    table = document["upbench"]
    found = table.get("format") if isinstance(table, dict) else None
    # any other version may mean something else by the same names
    if found != FORMAT:
        raise UserError(f"recording {path} has format {found!r}; this version reads format {FORMAT}: record it anew")


def _gather_seconds(document: _Document, path: Path) -> dict[tuple[str, str], Blocks]:
    """The rounds by (cell or ANCHOR, mode) and block. Raises UserError for a foreign cell or an impossible time."""
    seconds: dict[tuple[str, str], Blocks] = {}
    for benchmark in document.benchmarks:
        timing = benchmark.extra_info
        cell = timing.cell
        if cell != ANCHOR and cell not in document.upbench.cells:
            raise UserError(f"recording {path} is damaged: it times cell {cell}, which it does not describe")
        rounds = benchmark.stats.data
        fastest = min(rounds)
        if fastest <= 0:
            raise UserError(f"recording {path} is damaged: {cell} took {fastest} s")
        # the anchor has several turns in a block, whose rounds are pooled
        blocks = seconds.setdefault((cell, timing.mode), {})
        pooled = blocks.setdefault(timing.block, [])
        pooled.extend(rounds)
    return seconds


def _check_anchors(seconds: dict[tuple[str, str], Blocks], path: Path) -> None:
    """Raises UserError where a block of a cell has no anchor to be divided by."""
    for (cell, mode), blocks in seconds.items():
        anchored = seconds.get((ANCHOR, mode), {})
        lacking = blocks.keys() - anchored.keys()
        if lacking:
            first = min(lacking)
            raise UserError(f"recording {path}: {cell} {mode} has no anchor in block {first}: record it as well")
