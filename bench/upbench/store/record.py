"""What is stored of one cell."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from upbench.measurement import Measurement

Outcome = Literal["ok", "failed", "timeout", "out-of-memory", "diverged"]
MISSING = "missing"  # what stands in the place of the outcome of a cell that has no record


class Record(BaseModel):
    """What is known of one cell once its process has ended.

    Attributes:
        format: the version of this form.
        id: the id of the cell.
        cell: the cell as JSON.
        outcome: how the cell ended.
        reason: why it ended so, in one line; empty for "ok".
        traceback: the traceback, or the end of what a process printed that died.
        duration: seconds of wall clock from the start of the process to its end.
        computing: the seconds of those in which the task ran. The rest is what the harness costs. None if the cell
            did not end well.
        fingerprint: what produced the record, see `upbench.store.provenance`.
        environment: versions and machine.
        conditions: load, processors and state of the GPU "before" and "after"; empty if the cell did not end well.
        measurements: the figures.
        raw: samples and curves behind the figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    id: str
    cell: dict[str, Any]
    outcome: Outcome
    reason: str = ""
    traceback: str = ""
    duration: float
    computing: float | None = None
    fingerprint: str
    environment: dict[str, Any]
    conditions: dict[str, Any] = {}
    measurements: list[Measurement] = []
    raw: dict[str, Any] = {}

    @property
    def ended_well(self) -> bool:
        """Whether the cell has figures."""
        return self.outcome == "ok"
