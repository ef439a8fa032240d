"""A grid's tables: from the tidy frame to summaries, and from those to Markdown, LaTeX and CSV."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import pandas as pd

from bench.errors import UserError
from bench.report.statistics import Estimate, estimate, rank
from bench.run.grid import TableSpec

# settings that make replicates, not rows
REPLICATES = {"seed"}
NOT_SETTINGS = {
    "experiment", "cell", "outcome", "reason", "duration", "metric", "value", "unit", "better", "varies",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One cell of a table. lost: replicates that gave no figure."""

    estimate: Estimate
    lost: int
    best: bool
    tied: bool


@dataclass(frozen=True)
class Column:
    """name: "experiment.metric"; better: "lower" or "higher"; varies: "never", "seed" or "machine"."""

    name: str
    unit: str
    better: str
    varies: str


@dataclass(frozen=True)
class Summary:
    """A table before it is text: entries by row label, then column name."""

    spec: TableSpec
    columns: tuple[Column, ...]
    entries: dict[str, dict[str, Entry]]


def summarise(frame: pd.DataFrame, spec: TableSpec) -> Summary:
    """Raises UserError if a row would average over a setting that is neither a row nor a replicate."""
    columns: list[Column] = []
    entries: dict[str, dict[str, Entry]] = {label: {} for label in _labels(frame, spec)}
    for name in spec.columns:
        experiment, metric = name.split(".", 1)
        part = frame[frame["experiment"] == experiment]
        part = part.assign(row=_row_labels(part, spec.rows))
        _refuse_mixtures(part, spec, name)
        measured = part[part["metric"] == metric]
        unit, better, varies = (
            tuple(measured[["unit", "better", "varies"]].iloc[0]) if len(measured) else ("", "lower", "seed")
        )
        samples = {
            str(row): group.groupby("seed", sort=True)["value"].mean()
            for row, group in measured.groupby("row", sort=False)
        }
        best, tied = _rank_groups(samples, part, spec.rows, better, exact=varies == "never")
        columns.append(Column(name, unit, better, varies))
        for row, group in part.groupby("row", sort=False):
            values = samples.get(str(row), pd.Series(dtype=float))
            lost = group["seed"].nunique() - len(values)
            entries[str(row)][name] = Entry(estimate(values.tolist()), lost, best=row in best, tied=row in tied)
    return Summary(spec, tuple(columns), entries)


def _rank_groups(
    samples: dict[str, pd.Series], part: pd.DataFrame, rows: list[str], better: str, *, exact: bool
) -> tuple[set[str], set[str]]:
    """Best and tied rows among those that differ in nothing but the layer."""
    others = [key for key in rows if key != "layer" and key in part]
    groups = part.groupby(part[others].astype(str).agg(" ".join, axis=1) if others else lambda _: "", sort=False)
    best, tied = set[str](), set[str]()
    for _, group in groups:
        ranking = rank({row: samples[row] for row in group["row"].unique() if row in samples}, better, exact=exact)
        best |= {ranking.best} if ranking.best else set()
        tied |= ranking.tied
    return best, tied


def _labels(frame: pd.DataFrame, spec: TableSpec) -> list[str]:
    wanted = {name.split(".", 1)[0] for name in spec.columns}
    part = frame[frame["experiment"].isin(wanted)]
    return list(dict.fromkeys(_row_labels(part, spec.rows)))


def _row_labels(part: pd.DataFrame, rows: list[str]) -> pd.Series:
    """The value of the first row key, such as `pixel_dcl`; the others are added as `key=value`."""
    first, *others = (
        part[key].astype(str) if key in part else pd.Series("-", index=part.index, dtype=str) for key in rows
    )
    for key, values in zip(rows[1:], others, strict=True):
        first = first + " " + key.rpartition(".")[2] + "=" + values
    return first


def _refuse_mixtures(part: pd.DataFrame, spec: TableSpec, column: str) -> None:
    for _, group in part.groupby("row", sort=False):
        for key in group.columns.difference([*NOT_SETTINGS, *REPLICATES, "row"]):
            if group[key].astype(str).nunique() > 1:
                raise UserError(
                    f"table {spec.name!r}: column {column!r} would average over {key!r}; add it to the table's rows"
                )


# ---- figures as text ----

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


def _texts(summary: Summary) -> tuple[list[str], list[tuple[str, list[tuple[str, Entry | None]]]]]:
    """Headers with units and arrows, then (label, [(text, entry)]) for each row."""
    scales = {}
    for column in summary.columns:
        means = [row[column.name].estimate.mean for row in summary.entries.values() if column.name in row]
        scales[column.name] = scale(column.unit, means)
    headers = [
        f"{column.name.replace('.', ' ')}{_unit(scales[column.name][1])} {'↓' if column.better == 'lower' else '↑'}"
        for column in summary.columns
    ]
    rows = []
    for label, row in summary.entries.items():
        found = [(row.get(column.name), scales[column.name][0]) for column in summary.columns]
        rows.append((label, [(_text(entry, divisor), entry) for entry, divisor in found]))
    return headers, rows


def _unit(unit: str) -> str:
    return "" if unit in ("", "1") else f" [{unit.replace('x ', '× ')}]"


def note(summary: Summary) -> str:
    """What the marks mean, and how many replicates stand behind the figures."""
    counts = {entry.estimate.n for row in summary.entries.values() for entry in row.values()}
    n = f"n = {counts.pop()}" if len(counts) == 1 else f"n = {min(counts, default=0)} to {max(counts, default=0)}"
    return (
        f"Mean ± half-width of the 95 % t interval over replicates, {n}; a figure without ± does not vary or was "
        "taken once. Bold: best mean among layers that differ in nothing else. ≈: not told apart from the best at the "
        "5 % level (paired t-test over seeds, Holm's correction over the layers)."
    )


def to_markdown(summary: Summary) -> str:
    """A table for README files, with title and note."""
    headers, rows = _texts(summary)
    lines = [
        f"| {' | '.join([', '.join(summary.spec.rows), *headers])} |",
        f"| {' | '.join(['---', *['---:' for _ in headers]])} |",
    ]
    for label, cells in rows:
        texts = [
            f"**{text}**" if entry and entry.best else f"{text} ≈" if entry and entry.tied else text
            for text, entry in cells
        ]
        lines.append(f"| {' | '.join([label, *texts])} |")
    return f"### {summary.spec.title}\n\n" + "\n".join(lines) + f"\n\n{note(summary)}\n"


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
    """One line for each entry, figures unrounded, in base units."""
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
        }
        for label, row in summary.entries.items()
        for column in summary.columns
        if (entry := row.get(column.name))
    ]
    return pd.DataFrame(rows).to_csv(index=False)
