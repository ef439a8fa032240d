"""A grid's tables: from the tidy frame to summaries, and from those to Markdown, LaTeX and CSV."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.layers import REFERENCE
from bench.report.frame import to_frame
from bench.report.statistics import LEVEL, Estimate, Floats, compare, detectable, estimate, estimate_difference
from bench.run.grid import Grid, TableSpec

# settings that make replicates, not rows
REPLICATES = {"seed"}
NOT_SETTINGS = {
    "experiment", "cell", "outcome", "reason", "duration", "metric", "value", "unit", "better", "varies",
    "tuned", "splits",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One cell of a table. lost: replicates that gave no figure.

    difference: to the reference layer, paired, on the scale of `Column.log`; None where there is none to compare with.
    p: adjusted p-value of that difference. detectable: see `bench.report.statistics.detectable`, on the same scale.
    """

    estimate: Estimate
    lost: int
    best: bool
    tied: bool
    difference: Estimate | None = None
    p: float = math.nan
    detectable: float = math.nan


@dataclass(frozen=True)
class Column:
    """name: "experiment.metric"; better: "lower" or "higher"; varies: "never", "seed" or "machine".

    log: rows are compared by the logarithm, so that differences are ratios: the noise of times is a factor. compared:
    whether at all: seconds are not, as they hold within one process only; their ratios are.
    """

    name: str
    unit: str
    better: str
    varies: str
    log: bool

    @property
    def compared(self) -> bool:
        return self.varies != "machine" or self.unit != "s"


@dataclass(frozen=True)
class Summary:
    """A table before it is text: entries by row label, then column name.

    chosen: by experiment, the settings that trials have chosen for its rows, in words. reference: the layer to which
    `Entry.difference` is, with the options that tell it from others of its name.
    """

    spec: TableSpec
    columns: tuple[Column, ...]
    entries: dict[str, dict[str, Entry]]
    chosen: dict[str, str]
    reference: str = REFERENCE


@dataclass(frozen=True)
class _Block:
    """One column over rows that differ in nothing but the layer. figures: (seeds, rows), NaN where one was lost.

    layers: with the options that tell them apart. reference: the row of the first transposed convolution. cells: what
    the figures are from; the same column of the same cells in two tables is one comparison.
    """

    column: Column
    rows: tuple[str, ...]
    layers: tuple[str, ...]
    lost: tuple[int, ...]
    figures: Floats
    reference: int | None
    cells: frozenset[str] = field(repr=False)

    @property
    def scaled(self) -> Floats:
        return np.log(self.figures) if self.column.log else self.figures


def summarise(frame: pd.DataFrame, specs: Sequence[TableSpec]) -> list[Summary]:
    """The tables of a grid; their comparisons are corrected together, see `bench.report.statistics.compare`.

    Raises UserError if rows that are compared differ in more than the layer, or were measured on different data.
    """
    read = [[_blocks(frame, spec, name) for name in spec.columns] for spec in specs]
    noisy = {
        (block.column.name, block.cells): block
        for table in read for blocks in table for block in blocks
        if block.column.varies != "never" and block.column.compared
    }  # fmt: skip
    adjusted = dict(zip(noisy, compare([block.scaled for block in noisy.values()]), strict=True))
    summaries = []
    for spec, table in zip(specs, read, strict=True):
        entries: dict[str, dict[str, Entry]] = {label: {} for label in _labels(frame, spec)}
        for block in (block for blocks in table for block in blocks):
            known = adjusted.get((block.column.name, block.cells))
            p_values = _exact_p(block.figures) if known is None else known
            for row, entry in _entries(block, p_values, len(noisy)).items():
                entries[row][block.column.name] = entry
        columns = tuple(blocks[0].column for blocks in table)
        summaries.append(Summary(spec, columns, entries, _choices(frame, spec), _reference(table)))
    return summaries


def check_tables(grid: Grid) -> None:
    """Raises what `summarise` would raise of a grid's tables once its cells have run."""
    summarise(to_frame(grid, {}), grid.tables)


def _reference(table: Sequence[Sequence[_Block]]) -> str:
    found = [block.layers[block.reference] for blocks in table for block in blocks if block.reference is not None]
    return " or ".join(dict.fromkeys(found)) or REFERENCE


def _choices(frame: pd.DataFrame, spec: TableSpec) -> dict[str, str]:
    names = dict.fromkeys(name.split(".", 1)[0] for name in spec.columns)
    parts = {name: frame[frame["experiment"] == name] for name in names}
    texts = {name: _chosen(part.assign(row=_row_labels(part, spec.rows))) for name, part in parts.items()}
    return {name: text for name, text in texts.items() if text}


def _blocks(frame: pd.DataFrame, spec: TableSpec, name: str) -> list[_Block]:
    experiment, metric = name.split(".", 1)
    part = frame[frame["experiment"] == experiment]
    part = part.assign(row=_row_labels(part, spec.rows))
    measured = part[part["metric"] == metric]
    unit, better, varies = (
        tuple(measured[["unit", "better", "varies"]].iloc[0]) if len(measured) else ("", "lower", "seed")
    )
    column = Column(name, unit, better, varies, log=varies == "machine" and bool((measured["value"] > 0).all()))
    others = [key for key in spec.rows if key != "layer" and key in part]
    alike = part[others].astype(str).agg(" ".join, axis=1) if others else lambda _: ""
    groups = [group for _, group in part.groupby(alike, sort=False)]
    for group in groups:
        _refuse_mixtures(group, spec, name)
    return [_block(column, group, group[group["metric"] == metric]) for group in groups]


def _block(column: Column, group: pd.DataFrame, measured: pd.DataFrame) -> _Block:
    """group: the frame's rows of the block's cells; measured: those with its figures."""
    rows = list(dict.fromkeys(group["row"]))
    figures = measured.pivot_table(values="value", index="seed", columns="row").reindex(columns=rows)
    lost = group.groupby("row")["seed"].nunique()[rows] - figures.count()
    layers = tuple(group.drop_duplicates("row")["layer"])
    references = [index for index, layer in enumerate(layers) if layer.split()[0] == REFERENCE]
    return _Block(
        column,
        tuple(rows),
        layers,
        tuple(map(int, lost)),
        figures.to_numpy(dtype=float),
        references[0] if references and column.compared else None,
        frozenset(group["cell"]),
    )


def _exact_p(values: Floats) -> Floats:
    """For a figure that never varies any difference is real, and one replicate decides."""
    means = _means(values)
    return np.where(means[:, None] == means, 1.0, 0.0)


def _means(values: Floats) -> Floats:
    return np.array([estimate(column[np.isfinite(column)]).mean for column in values.T])


def _entries(block: _Block, p_values: Floats, columns: int) -> dict[str, Entry]:
    """p_values: adjusted, (rows, rows). columns: those that were corrected together."""
    means, scaled = _means(block.figures), block.scaled
    ended = np.isfinite(means)
    best = None
    if ended.any() and block.column.compared:
        best = int((np.nanargmin if block.column.better == "lower" else np.nanargmax)(means))
    compared = block.column.varies != "never" and block.column.compared
    least = detectable(scaled, columns) if compared else math.nan
    entries = {}
    for index, row in enumerate(block.rows):
        found = estimate(block.figures[np.isfinite(block.figures[:, index]), index])
        tied = best is not None and index != best and bool(ended[index] and p_values[best, index] >= 1 - LEVEL)
        entry = Entry(found, block.lost[index], best=index == best, tied=tied, detectable=least)
        if block.reference not in (None, index):
            difference = estimate_difference(scaled[:, index], scaled[:, block.reference])
            entry = replace(entry, difference=difference, p=float(p_values[index, block.reference]))
        entries[row] = entry
    return entries


def tuned_keys(part: pd.DataFrame) -> list[str]:
    """The settings of an experiment that its trials have chosen."""
    return list(dict.fromkeys(key for text in part["tuned"].unique() for key in text.split(",") if key))


def _chosen(part: pd.DataFrame) -> str:
    """What trials have chosen for the rows of an experiment: "learning rate 0.002 for carafe, dysample; ..."."""
    texts = []
    for key in tuned_keys(part):
        known = part[part[key].notna()].drop_duplicates("row")
        if len(known):
            groups = known.sort_values(key, kind="stable").groupby(known[key].map(str), sort=False)
            taken = [f"{value} for {', '.join(group['row'])}" for value, group in groups]
            texts.append(f"{key.rpartition('.')[2].replace('_', ' ')} {'; '.join(taken)}")
    return ", ".join(texts)


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


def _refuse_mixtures(group: pd.DataFrame, spec: TableSpec, column: str) -> None:
    """group: rows that are compared with each other."""
    free = {*NOT_SETTINGS, *REPLICATES, "row", *tuned_keys(group)}
    for key in group.columns.difference([*free]):
        if key.partition(".")[0] == "layer" and "layer" in spec.rows:
            continue
        if group[key].astype(str).nunique() > 1:
            raise UserError(
                f"table {spec.name!r}: column {column!r} would compare and average cells that differ in {key!r}; "
                "add it to the table's rows"
            )
    if len(set(group["splits"]) - {""}) > 1:
        raise UserError(
            f"table {spec.name!r}: the cells of column {column!r} saw different data; run them anew in another folder"
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
