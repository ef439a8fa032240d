"""A verdict on every figure of two sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median

from upbench.gate.cells import align_cells
from upbench.gate.decide import Evidence, Rule, adjust_p_values, decide, weigh
from upbench.gate.exact import CHECKSUM
from upbench.gate.sides import FigureKey, Series, Side
from upbench.gate.verdict import Verdict
from upbench.labels import label_cells

CHECKSUM_TOLERANCE = 1e-4  # rounding moves it by 1e-6, another layer by 1
SEEDED_TOLERANCE = 1e-6  # relative; the same source and seed give the same bits on the same machine
OUTCOME = "outcome"  # stands in the place of a metric where a cell was lost
WIDE = 1.2  # high over low of an interval above which a note says that the verdict says little


@dataclass(frozen=True)
class Row:
    """The verdict on one figure of one cell.

    Attributes:
        cell: the id of the cell, as head knows it.
        name: what tells the cell from the others.
        metric: the name of the figure.
        verdict: the word.
        unit: the unit of `base` and `head`.
        base: the median of base's replicates; None where nothing was compared.
        head: the median of head's replicates; None where nothing was compared.
        evidence: what the samples of a noisy figure say; None for an exact one.
        p: the p-value of a noisy figure, adjusted over the grid.
        note: the reason of a verdict, or a warning, in words.
    """

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


def compare_sides(base: Side, head: Side, rule: Rule) -> list[Row]:
    """Judge every figure that either side has, and every cell that head alone has lost.

    What does not vary is compared exactly, or to its tolerance above; times by `decide`, as ratios to the transposed
    convolution of the same process, over fresh processes. Only like is held against like: same unit, same direction,
    same data, and the same machine where the figure depends on it.

    Args:
        base: the side that head is held against.
        head: the side that is judged.
        rule: when a difference of noisy figures counts.

    Returns:
        One row for each (cell, metric), base's order first; then one for each cell that is lost without any.
    """
    ids = align_cells(base.cells, head.cells)
    base = base.renamed(ids)
    names = label_cells(base.cells | head.cells)
    # a dict keeps order and takes each key once
    keys = dict.fromkeys([*base.figures, *head.figures])
    rows: dict[FigureKey, Row] = {}
    noisy: list[FigureKey] = []
    for key in keys:
        cell, metric = key
        row = Row(cell, names[cell], metric, Verdict.NOT_COMPARABLE)
        before = base.figures.get(key)
        after = head.figures.get(key)
        if before is None:
            row = replace(row, note="only in head")
        elif after is None:
            reason = head.lost.get(cell, "not in head")
            row = replace(row, verdict=Verdict.MISSING, note=reason)
        elif difference := _find_unlikeness(base, head, cell, before, after):
            row = replace(row, unit=before.unit, note=difference)
        elif before.varies == "machine":
            # judged below, as the correction needs all of them: until then this row keeps the place
            noisy.append(key)
        else:
            row = _judge_exact(row, before, after)
        rows[key] = row
    _judge_noisy(rows, noisy, base, head, rule)
    _add_lost(rows, base, head, names)
    return list(rows.values())


def select_failing(rows: Iterable[Row]) -> list[Row]:
    """The rows for which a comparison ends with status 1."""
    return [row for row in rows if row.verdict.fails]


def _find_unlikeness(base: Side, head: Side, cell: str, before: Series, after: Series) -> str:
    """Why the figure of the two sides cannot be compared, naming both; empty where it can."""
    for key in ("unit", "better", "varies"):
        in_base = getattr(before, key)
        in_head = getattr(after, key)
        if in_base != in_head:
            return f"{key} {in_base} in base, {in_head} in head"
    if base.data.get(cell) != head.data.get(cell):
        return "the sides saw different data"
    # costs by formula and by the allocator are the same everywhere
    if before.varies == "never":
        return ""
    if base.machine != head.machine:
        base_machine = " / ".join(base.machine)
        head_machine = " / ".join(head.machine)
        return f"measured on {base_machine} and on {head_machine}"
    if before.varies == "seed" and base.torch != head.torch:
        return f"torch {base.torch} and {head.torch} need not give the same bits"
    return ""


def _judge_exact(row: Row, before: Series, after: Series) -> Row:
    """The row of a figure that does not vary: same within its tolerance, or else better or worse."""
    base = before.values[0]
    head = after.values[0]
    if row.metric == CHECKSUM:
        tolerance = CHECKSUM_TOLERANCE
    elif before.varies == "seed":
        tolerance = abs(base) * SEEDED_TOLERANCE
    else:
        tolerance = 0.0
    if abs(head - base) <= tolerance:
        verdict = Verdict.SAME
    elif row.metric == CHECKSUM:
        verdict = Verdict.REGRESSED  # another output is neither better nor worse, and must be meant
    elif (head < base) == (before.better == "lower"):
        verdict = Verdict.IMPROVED
    else:
        verdict = Verdict.REGRESSED
    return replace(row, verdict=verdict, unit=before.unit, base=base, head=head)


def _judge_noisy(rows: dict[FigureKey, Row], noisy: list[FigureKey], base: Side, head: Side, rule: Rule) -> None:
    """Replace the rows of the noisy figures by their verdicts, which the whole grid decides together."""
    if not noisy:
        return
    evidence: dict[str, Evidence] = {}
    for key in noisy:
        before = base.figures[key]
        after = head.figures[key]
        evidence[str(key)] = weigh(before.values, after.values, rule)
    verdicts = decide(evidence, rule)
    # the verdicts have adjusted p-values of their own; these are shown
    p_values = [each.p for each in evidence.values()]
    adjusted = adjust_p_values(p_values)
    for key, p in zip(noisy, adjusted, strict=True):
        before = base.figures[key]
        after = head.figures[key]
        weighed = evidence[str(key)]
        rows[key] = replace(
            rows[key],
            verdict=verdicts[str(key)],
            unit=before.unit,
            base=median(before.values),
            head=median(after.values),
            evidence=weighed,
            p=float(p),
            note=_warn_of_width(weighed),
        )


def _warn_of_width(evidence: Evidence) -> str:
    """A warning where the spread is so wide that the verdict says little; empty elsewhere."""
    if evidence.high <= WIDE * evidence.low:
        return ""
    return f"wide: interval {evidence.low:.2f} to {evidence.high:.2f}"


def _add_lost(rows: dict[FigureKey, Row], base: Side, head: Side, names: dict[str, str]) -> None:
    """Add a row for each cell that head alone has lost and of which no figure is missing: it must not be overlooked."""
    told = {row.cell for row in rows.values() if row.verdict is Verdict.MISSING}
    for cell, reason in head.lost.items():
        if cell in base.lost or cell in told:
            continue
        rows[cell, OUTCOME] = Row(
            cell,
            names[cell],
            OUTCOME,
            Verdict.MISSING,
            note=reason,
        )
