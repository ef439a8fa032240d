"""The words and figures of a grid's tables, whatever form they are then written in."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import Literal

from upbench.report.blocks import Column
from upbench.report.statistics import LEVEL, Estimate
from upbench.report.summary import Entry, Summary

# for each unit that has multiples: their size and name, the largest first
SCALES = {
    "s": [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")],
    "B": [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")],
    "FLOP": [(1e9, "GFLOP"), (1e6, "MFLOP"), (1.0, "FLOP")],
}
WIDE = 0.2  # half-width of an interval over its mean above which a note says so
CORRECTED = "at the 5 % level, paired over seeds and corrected for all pairs of layers and all columns of the grid"

Mark = Literal["best", "tied", ""]


@dataclass(frozen=True)
class Text:
    """One field of a table.

    Attributes:
        text: what it says.
        mark: "best" for the best row of a block, "tied" for a row that is not told apart from it, or "".
    """

    text: str
    mark: Mark = ""


TextRow = tuple[str, tuple[Text, ...]]  # the label and the fields


@dataclass(frozen=True)
class TextTable:
    """A table as text without any markup.

    Attributes:
        name: the name of its file.
        title: the headline.
        headers: the headers, that of the row labels first.
        rows: in order.
        note: what the marks mean, and what stands behind the figures.
    """

    name: str
    title: str
    headers: tuple[str, ...]
    rows: tuple[TextRow, ...]
    note: str


def make_table(summary: Summary) -> TextTable:
    """A table's figures as text; its last row says what the run could have detected."""
    headers, divisors = _make_headers(summary)
    rows: list[TextRow] = []
    for label, row in summary.entries.items():
        fields = []
        for column in summary.columns:
            entry = row.get(column.name)
            fields.append(_write_entry(entry, divisors[column.name]))
        rows.append((label, tuple(fields)))
    least = _write_detectable_row(summary, divisors)
    if least:
        rows.append(least)
    return TextTable(
        name=summary.spec.name,
        title=summary.spec.title,
        headers=headers,
        rows=tuple(rows),
        note=write_note(summary),
    )


def make_differences(summary: Summary) -> TextTable | None:
    """Each layer's paired difference to the reference layer, or None if no column that varies has one to show."""
    shown = [column for column in summary.columns if _has_differences(summary, column)]
    if not shown:
        return None
    headers, divisors = _make_headers(replace(summary, columns=tuple(shown)))
    rows: list[TextRow] = []
    for label, row in summary.entries.items():
        texts = []
        for column in shown:
            entry = row.get(column.name)
            texts.append(_write_difference(entry, column, divisors[column.name]))
        # the reference layer itself has none
        if any(texts):
            rows.append((label, tuple(map(Text, texts))))
    note = (
        "Mean paired difference ± half-width of its 95 % t interval, of times the ratio and its interval. "
        f"better, worse: {CORRECTED}; ≈: not told apart. The intervals are not corrected."
    )
    return TextTable(
        name=f"{summary.spec.name}-differences",
        title=f"{summary.spec.title}: differences to {summary.reference}",
        headers=headers,
        rows=tuple(rows),
        note=note,
    )


def scale(unit: str, values: list[float]) -> tuple[float, str]:
    """The divisor and the unit that bring the median of the values to at least 1, so that a column shares one unit."""
    scales = SCALES.get(unit, [(1.0, unit)])
    # zeros have the same size in all units, and lost figures none
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    middle = statistics.median(sizes or [1.0])
    for divisor, name in scales:
        if middle >= divisor:
            return divisor, name
    return scales[-1]


def number(value: float, half_width: float) -> str:
    """The figure with the digits that it can bear: two of its interval, or four significant digits without one."""
    if math.isfinite(half_width) and half_width != 0:
        decimals = _count_decimals(half_width, 2)
        shown = f"{value:,.{decimals}f}"
        interval = f"{half_width:,.{decimals}f}"
        return f"{shown} ± {interval}"
    # beyond 1e15 not every whole number is a float, and the digits would pretend to be known
    if value == round(value) and abs(value) < 1e15:
        whole = int(value)
        return f"{whole:,}"
    decimals = _count_decimals(value, 4)
    return f"{value:,.{decimals}f}"


def _count_decimals(value: float, digits: int) -> int:
    """How many decimals show that many significant digits of a value, 0 where fewer than none would do."""
    leading = math.floor(math.log10(abs(value)))
    return max(0, digits - 1 - leading)


def write_unit(unit: str) -> str:
    """The unit in brackets after a blank, "" for a pure number."""
    if unit in ("", "1"):
        return ""
    shown = unit.replace("x ", "× ")
    return f" [{shown}]"


def write_note(summary: Summary) -> str:
    """What the marks mean, and how many replicates stand behind the figures."""
    text = (
        f"Mean ± half-width of the 95 % t interval over replicates, {_count_replicates(summary)}; a figure without ± "
        "does not vary or was taken once. Bold: best mean among layers that differ in nothing else. ≈: not told apart "
        f"from the best {CORRECTED}."
    )
    detectables = [find_detectable(summary, column) for column in summary.columns]
    if any(map(math.isfinite, detectables)):
        text += " Last line: the true difference between two layers that 4 of 5 such runs would find; × is a ratio."
    wide = _name_wide(summary)
    if wide:
        text += f" Spread wide, more processes would tell: {wide}."
    if not all(column.compared for column in summary.columns):
        text += " Seconds are not compared, as they hold within one process only; their ratios are."
    for experiment, chosen in summary.chosen.items():
        text += f" {experiment}, each row at its own best of a sweep at other seeds: {chosen}."
    return text


def find_detectable(summary: Summary, column: Column) -> float:
    """What the run could have detected in a column, see `Entry.detectable`; the largest where rows form groups."""
    entries = summary.column_entries(column)
    known = [entry.detectable for entry in entries if math.isfinite(entry.detectable)]
    return max(known, default=math.nan)


def _make_headers(summary: Summary) -> tuple[tuple[str, ...], dict[str, float]]:
    """The headers with units and arrows, and the divisor of each column by its name."""
    headers = [", ".join(summary.spec.rows)]
    divisors = {}
    for column in summary.columns:
        means = [entry.estimate.mean for entry in summary.column_entries(column)]
        divisor, unit = scale(column.unit, means)
        arrow = "↓" if column.better == "lower" else "↑"
        # the arrow points to where better figures are
        headers.append(f"{column.label}{write_unit(unit)} {arrow}")
        divisors[column.name] = divisor
    return tuple(headers), divisors


def _write_entry(entry: Entry | None, divisor: float) -> Text:
    """The field of an entry, whose figures are shown in units of `divisor`."""
    if entry is None:
        return Text("")
    mark: Mark = ""
    if entry.best:
        mark = "best"
    elif entry.tied:
        mark = "tied"
    found = entry.estimate
    if not found.n:
        return Text("no result", mark)
    mean = found.mean / divisor
    half_width = found.half_width / divisor
    text = number(mean, half_width)
    if entry.lost:
        text += f" ({entry.lost} lost)"
    return Text(text, mark)


def _write_detectable_row(summary: Summary, divisors: dict[str, float]) -> TextRow | None:
    """The row of what the run could have detected, or None if that is known of no column."""
    fields = []
    for column in summary.columns:
        value = find_detectable(summary, column)
        text = _write_detectable(value, column, divisors[column.name])
        fields.append(Text(text))
    if not any(field.text for field in fields):
        return None
    label = f"detectable at {_count_replicates(summary)}"
    return label, tuple(fields)


def _write_detectable(value: float, column: Column, divisor: float) -> str:
    """A difference that could have been detected, as a ratio where the column is compared by ratios."""
    if not math.isfinite(value):
        return ""
    if column.log:
        # beyond 99 the ratio could leave the finite numbers, and says no more
        factor = math.exp(min(value, 99.0))
        return _write_factor(factor)
    shown = value / divisor
    decimals = _count_decimals(shown, 2) if shown else 0
    return f"{shown:,.{decimals}f}"


def _write_factor(value: float) -> str:
    """A ratio: three digits near 1, where the difference from 1 is what counts."""
    if value < 1.1:
        return f"× {value:.3f}"
    if value < 10:
        return f"× {value:,.2f}"
    return f"× {value:,.0f}"


def _count_replicates(summary: Summary) -> str:
    """How many replicates the figures of a table have: "n = 3", or "n = 2 to 3" where they differ."""
    counts: set[int] = set()
    for row in summary.entries.values():
        counts.update(entry.estimate.n for entry in row.values())
    least = min(counts, default=0)
    most = max(counts, default=0)
    if len(counts) == 1:
        return f"n = {least}"
    return f"n = {least} to {most}"


def _name_wide(summary: Summary) -> str:
    """The ratios of times whose interval is so wide that their mean says little: "train_time_ratio of carafe"."""
    ratios = [column for column in summary.columns if column.log and column.compared]
    wide: dict[str, list[str]] = {}
    for label, row in summary.entries.items():
        for column in ratios:
            entry = row.get(column.name)
            if entry is not None and _is_wide(entry.estimate):
                labels = wide.setdefault(column.label, [])
                labels.append(label)
    texts = []
    for name, labels in wide.items():
        shown = ", ".join(labels)
        texts.append(f"{name} of {shown}")
    return "; ".join(texts)


def _is_wide(found: Estimate) -> bool:
    """Whether the interval is wide for the mean that it is about."""
    return found.half_width > WIDE * found.mean


def _has_differences(summary: Summary, column: Column) -> bool:
    """Whether a column has differences to the reference layer that are worth showing."""
    if column.varies == "never":
        return False
    return any(entry.difference for entry in summary.column_entries(column))


def _write_difference(entry: Entry | None, column: Column, divisor: float) -> str:
    """A difference to the reference layer, its interval and whether it is better, worse or not told apart."""
    if entry is None or entry.difference is None:
        return ""
    found = entry.difference
    if not found.n:
        return "no pair"
    judged = _judge_difference(entry.p, found.mean, column)
    if column.log:
        return f"{_write_ratio(found)} {judged}"
    mean = found.mean / divisor
    half_width = found.half_width / divisor
    sign = "+" if found.mean >= 0 else ""
    return f"{sign}{number(mean, half_width)} {judged}"


def _write_ratio(found: Estimate) -> str:
    """The ratio and its interval, of an estimate of the logarithm of the ratio."""
    factor = _write_factor(math.exp(found.mean))
    low = math.exp(found.mean - found.half_width)
    high = math.exp(found.mean + found.half_width)
    if not math.isfinite(low):
        return factor
    return f"{factor} ({low:.2f} to {high:,.2f})"


def _judge_difference(p: float, mean: float, column: Column) -> str:
    """Say "better" or "worse" of a difference that is significant, "≈" of any other."""
    significant = p < 1 - LEVEL  # false of NaN
    if not significant:
        return "≈"
    lower = mean < 0
    lower_is_better = column.better == "lower"
    return "better" if lower == lower_is_better else "worse"
