"""A grid's tables as text: Markdown, LaTeX and CSV."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pandas as pd

from bench.report.statistics import LEVEL
from bench.report.summary import Column, Entry, Summary

SCALES = {
    "s": [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")],
    "B": [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")],
    "FLOP": [(1e9, "GFLOP"), (1e6, "MFLOP"), (1.0, "FLOP")],
}


def scale(unit: str, values: list[float]) -> tuple[float, str]:
    """(divisor, unit) that brings the median of the values to at least 1, so that a column shares one unit."""
    middle = statistics.median([abs(value) for value in values if value and math.isfinite(value)] or [1.0])
    for divisor, name in SCALES.get(unit, []):
        if middle >= divisor:
            return divisor, name
    return SCALES[unit][-1] if unit in SCALES else (1.0, unit)


def number(value: float, half_width: float) -> str:
    """Trimmed to what the figure can bear: two digits of its interval, or four significant digits without one."""
    if not math.isfinite(half_width) or half_width == 0:
        if value == round(value) and abs(value) < 1e15:
            return f"{int(value):,}"
        decimals = max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{decimals}f}"
    decimals = max(0, 1 - math.floor(math.log10(half_width)))
    return f"{value:,.{decimals}f} ± {half_width:,.{decimals}f}"


def _text(entry: Entry | None, divisor: float) -> str:
    if entry is None:
        return ""
    lost = f" ({entry.lost} lost)" if entry.lost else ""
    if not entry.estimate.n:
        return "no result"
    return number(entry.estimate.mean / divisor, entry.estimate.half_width / divisor) + lost


def least_difference(summary: Summary, column: Column) -> float:
    """What the run could have detected in a column, see `Entry.detectable`; the largest where rows form groups."""
    found = [row[column.name].detectable for row in summary.entries.values() if column.name in row]
    return max((value for value in found if math.isfinite(value)), default=math.nan)


def _detectable_text(value: float, column: Column, divisor: float) -> str:
    if not math.isfinite(value):
        return ""
    if column.log:
        return _factor(math.exp(min(value, 99.0)))
    return _two_digits(value / divisor)


def _two_digits(value: float) -> str:
    return f"{value:,.{max(0, 1 - math.floor(math.log10(value))) if value else 0}f}"


def _factor(value: float) -> str:
    """As a ratio: three digits near 1, where the difference from 1 is what counts."""
    return f"× {value:.3f}" if value < 1.1 else f"× {value:,.2f}" if value < 10 else f"× {value:,.0f}"


def _headers(summary: Summary) -> tuple[list[str], dict[str, float]]:
    """Column titles with units and arrows, and the divisor of each column."""
    scales = {}
    for column in summary.columns:
        means = [row[column.name].estimate.mean for row in summary.entries.values() if column.name in row]
        scales[column.name] = scale(column.unit, means)
    headers = [
        f"{column.name.replace('.', ' ')}{_unit(scales[column.name][1])} {'↓' if column.better == 'lower' else '↑'}"
        for column in summary.columns
    ]
    return headers, {name: divisor for name, (divisor, _) in scales.items()}


def _texts(summary: Summary) -> tuple[list[str], list[tuple[str, list[tuple[str, Entry | None]]]]]:
    """Headers, then (label, [(text, entry)]) for each row; the last row says what the run could have detected."""
    headers, divisors = _headers(summary)
    rows: list[tuple[str, list[tuple[str, Entry | None]]]] = []
    for label, row in summary.entries.items():
        found = [(row.get(column.name), divisors[column.name]) for column in summary.columns]
        rows.append((label, [(_text(entry, divisor), entry) for entry, divisor in found]))
    least = [_detectable_text(least_difference(summary, c), c, divisors[c.name]) for c in summary.columns]
    if any(least):
        rows.append((f"detectable at {_counts(summary)}", [(text, None) for text in least]))
    return headers, rows


def _counts(summary: Summary) -> str:
    counts = {entry.estimate.n for row in summary.entries.values() for entry in row.values()}
    return f"n = {counts.pop()}" if len(counts) == 1 else f"n = {min(counts, default=0)} to {max(counts, default=0)}"


def _unit(unit: str) -> str:
    return "" if unit in ("", "1") else f" [{unit.replace('x ', '× ')}]"


WIDE = 0.2  # half-width of an interval over its mean above which a note says so
CORRECTED = "at the 5 % level, paired over seeds and corrected for all pairs of layers and all columns of the grid"


def note(summary: Summary) -> str:
    """What the marks mean, and how many replicates stand behind the figures."""
    text = (
        f"Mean ± half-width of the 95 % t interval over replicates, {_counts(summary)}; a figure without ± does not "
        "vary or was taken once. Bold: best mean among layers that differ in nothing else. ≈: not told apart from the "
        f"best {CORRECTED}."
    )
    if any(math.isfinite(least_difference(summary, column)) for column in summary.columns):
        text += " Last line: the true difference between two layers that 4 of 5 such runs would find; × is a ratio."
    if wide := _wide(summary):
        text += f" Spread wide, more processes would tell: {wide}."
    if not all(column.compared for column in summary.columns):
        text += " Seconds are not compared, as they hold within one process only; their ratios are."
    for experiment, chosen in summary.chosen.items():
        text += f" {experiment}, each row at its own best of a sweep at other seeds: {chosen}."
    return text


def _wide(summary: Summary) -> str:
    """The ratios of times whose interval is so wide that their mean says little: "train_time_ratio of carafe"."""
    found: dict[str, list[str]] = {}
    for label, row in summary.entries.items():
        for column in (column for column in summary.columns if column.log and column.compared and column.name in row):
            if row[column.name].estimate.half_width > WIDE * row[column.name].estimate.mean:
                found.setdefault(column.name.replace(".", " "), []).append(label)
    return "; ".join(f"{name} of {', '.join(labels)}" for name, labels in found.items())


def to_markdown(summary: Summary) -> str:
    """A table for README files, with title and note."""
    headers, rows = _texts(summary)
    lines = []
    for label, cells in rows:
        texts = [
            f"**{text}**" if entry and entry.best else f"{text} ≈" if entry and entry.tied else text
            for text, entry in cells
        ]
        lines.append(f"| {' | '.join([label, *texts])} |")
    return (
        f"### {summary.spec.title}\n\n{_markdown_head(summary, headers)}" + "\n".join(lines) + f"\n\n{note(summary)}\n"
    )


def _markdown_head(summary: Summary, headers: list[str]) -> str:
    titles = f"| {' | '.join([', '.join(summary.spec.rows), *headers])} |"
    return f"{titles}\n| {' | '.join(['---', *['---:' for _ in headers]])} |\n"


def differences_to_markdown(summary: Summary) -> str:
    """Each layer's paired difference to the reference layer, or "" if no column that varies has one to show."""
    compared = {name for row in summary.entries.values() for name, entry in row.items() if entry.difference}
    shown = [column for column in summary.columns if column.name in compared and column.varies != "never"]
    if not shown:
        return ""
    summary = replace(summary, columns=tuple(shown))
    headers, divisors = _headers(summary)
    lines = []
    for label, row in summary.entries.items():
        texts = [_difference_text(row.get(column.name), column, divisors[column.name]) for column in shown]
        if any(texts):
            lines.append(f"| {' | '.join([label, *texts])} |")
    return (
        f"#### {summary.spec.title}: differences to {summary.reference}\n\n{_markdown_head(summary, headers)}"
        + "\n".join(lines)
        + f"\n\nMean paired difference ± half-width of its 95 % t interval, of times the ratio and its interval. "
        f"better, worse: {CORRECTED}; ≈: not told apart. The intervals are not corrected.\n"
    )


def _difference_text(entry: Entry | None, column: Column, divisor: float) -> str:
    if entry is None or entry.difference is None:
        return ""
    found = entry.difference
    if not found.n:
        return "no pair"
    verdict = (
        "≈" if not entry.p < 1 - LEVEL else "better" if (found.mean < 0) == (column.better == "lower") else "worse"
    )
    if column.log:
        low, high = math.exp(found.mean - found.half_width), math.exp(found.mean + found.half_width)
        interval = f" ({low:.2f} to {high:,.2f})" if math.isfinite(low) else ""
        return f"{_factor(math.exp(found.mean))}{interval} {verdict}"
    sign = "+" if found.mean >= 0 else ""
    return f"{sign}{number(found.mean / divisor, found.half_width / divisor)} {verdict}"


LATEX = str.maketrans(
    {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "±": r"$\pm$", "≈": r"$\approx$", "×": r"$\times$",
     "µ": r"$\mu$", "↓": r"$\downarrow$", "↑": r"$\uparrow$"}
)  # fmt: skip


def to_latex(summary: Summary) -> str:
    r"""A booktabs table; needs \usepackage{booktabs}."""
    headers, rows = _texts(summary)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{f'{summary.spec.title}. {note(summary)}'.translate(LATEX)}}}",
        rf"\label{{tab:{summary.spec.name}}}",
        rf"\begin{{tabular}}{{l{'r' * len(headers)}}}",
        r"\toprule",
        " & ".join(text.translate(LATEX) for text in [", ".join(summary.spec.rows), *headers]) + r" \\",
        r"\midrule",
    ]
    for label, cells in rows:
        texts = [
            rf"\textbf{{{text.translate(LATEX)}}}" if entry and entry.best
            else f"{text} ≈".translate(LATEX) if entry and entry.tied
            else text.translate(LATEX)
            for text, entry in cells
        ]  # fmt: skip
        lines.append(" & ".join([label.translate(LATEX), *texts]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def to_csv(summary: Summary) -> str:
    """One line for each entry, figures unrounded, in base units; differences to the reference layer.

    scale: that of detectable, difference and difference_half_width; "log" means natural logarithms of ratios.
    """
    rows = [
        {
            "row": label,
            "column": column.name,
            "n": entry.estimate.n,
            "lost": entry.lost,
            "mean": entry.estimate.mean,
            "half_width": entry.estimate.half_width,
            "unit": column.unit,
            "best": entry.best,
            "tied": entry.tied,
            "scale": "log" if column.log else "linear",
            "detectable": entry.detectable,
            "difference": entry.difference.mean if entry.difference else None,
            "difference_n": entry.difference.n if entry.difference else None,
            "difference_half_width": entry.difference.half_width if entry.difference else None,
            "p_adjusted": entry.p,
        }
        for label, row in summary.entries.items()
        for column in summary.columns
        if (entry := row.get(column.name))
    ]
    return pd.DataFrame(rows).to_csv(index=False)
