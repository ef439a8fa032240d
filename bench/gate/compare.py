"""A verdict on every figure of two sides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from bench.cell import distinguish
from bench.gate.cells import aligned
from bench.gate.decide import Evidence, Rule, adjust, decide, weigh
from bench.gate.sides import Series, Side

Verdict = Literal["improved", "same", "regressed", "ambiguous", "missing", "not comparable"]
FAILING = ("regressed", "missing")

CHECKSUM = "output_checksum"
CHECKSUM_TOLERANCE = 1e-4  # rounding moves it by 1e-6, another layer by 1
SEEDED_TOLERANCE = 1e-6  # relative; the same source and seed give the same bits on the same machine


@dataclass(frozen=True)
class Row:
    """The verdict on one figure of one cell. base, head: the median of its replicates. p is adjusted over the grid."""

    cell: str
    name: str
    metric: str
    verdict: Verdict
    unit: str = ""
    base: float | None = None
    head: float | None = None
    evidence: Evidence | None = None
    p: float | None = None
    note: str = ""


def compare(base: Side, head: Side, rule: Rule) -> list[Row]:
    """One row for each (cell, metric) that either side has, base's order first; and one for what only head has lost.

    What does not vary is compared exactly, or to its tolerance above; times by `decide`, as ratios to the transposed
    convolution of the same process, over fresh processes.
    """
    base = base.renamed(aligned(base.cells, head.cells))
    names = distinguish(base.cells | head.cells)
    noisy: dict[tuple[str, str], Evidence] = {}
    rows: dict[tuple[str, str], Row] = {}
    for key in dict.fromkeys([*base.figures, *head.figures]):
        ours, theirs = head.figures.get(key), base.figures.get(key)
        row = Row(key[0], names[key[0]], key[1], "not comparable")
        if theirs is None:
            rows[key] = replace(row, note="only in head")
        elif ours is None:
            rows[key] = replace(row, verdict="missing", note=head.lost.get(key[0], "not in head"))
        elif why := _incomparable(base, head, key, theirs):
            rows[key] = replace(row, unit=theirs.unit, note=why)
        elif theirs.varies == "machine":
            noisy[key] = weigh(theirs.values, ours.values, rule)
            rows[key] = row  # holds the place
        else:
            before, after = theirs.values[0], ours.values[0]
            rows[key] = replace(row, unit=theirs.unit, base=before, head=after, verdict=_exact(theirs, ours, key[1]))
    rows |= _noisy_rows(noisy, rows, base, head, rule)
    rows |= {
        (cell, "outcome"): Row(cell, names[cell], "outcome", "missing", note=why)
        for cell, why in head.lost.items()
        if cell not in base.lost and not any(row.verdict == "missing" for key, row in rows.items() if key[0] == cell)
    }
    return list(rows.values())


def failing(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.verdict in FAILING]


def _noisy_rows(
    noisy: dict[tuple[str, str], Evidence], rows: dict[tuple[str, str], Row], base: Side, head: Side, rule: Rule
) -> dict[tuple[str, str], Row]:
    if not noisy:
        return {}
    verdicts = decide({str(key): evidence for key, evidence in noisy.items()}, rule)
    adjusted = adjust([evidence.p for evidence in noisy.values()])
    return {
        key: Row(
            key[0], rows[key].name, key[1], verdicts[str(key)], base.figures[key].unit,
            median(base.figures[key].values), median(head.figures[key].values), evidence, float(p), _width(evidence),
        )
        for (key, evidence), p in zip(noisy.items(), adjusted, strict=True)
    }  # fmt: skip


def _width(evidence: Evidence) -> str:
    """A warning where the spread is so wide that the verdict says little."""
    return f"wide: interval {evidence.low:.2f} to {evidence.high:.2f}" if evidence.high > 1.2 * evidence.low else ""


def _incomparable(base: Side, head: Side, key: tuple[str, str], series: Series) -> str:
    if base.data.get(key[0]) != head.data.get(key[0]):
        return "the sides saw different data"
    if series.varies == "never":
        return ""
    if base.machine != head.machine:
        return f"measured on {' / '.join(base.machine)} and on {' / '.join(head.machine)}"
    if series.varies == "seed" and base.torch != head.torch:
        return f"torch {base.torch} and {head.torch} need not give the same bits"
    return ""


def _exact(base: Series, head: Series, metric: str) -> Verdict:
    before, after = base.values[0], head.values[0]
    tolerance = (
        CHECKSUM_TOLERANCE if metric == CHECKSUM else abs(before) * (SEEDED_TOLERANCE if base.varies == "seed" else 0)
    )
    if abs(after - before) <= tolerance:
        return "same"
    if metric == CHECKSUM:
        return "regressed"  # another output is neither better nor worse, and must be meant
    return "improved" if (after < before) == (base.better == "lower") else "regressed"
