"""Verdicts for people (terminal, Markdown for a pull request comment) and for machines (JSON, JUnit)."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from rich.markup import escape
from rich.table import Table

from upbench.gate.compare import Row, select_failing
from upbench.gate.decide import Rule
from upbench.gate.verdict import Verdict
from upbench.report.tables import scale

HEADERS = ("cell", "figure", "verdict", "base", "head", "change", "p", "")
ALIGNMENTS = ("---", "---", "---", "---:", "---:", "---:", "---:", "---")
UNDECIDED = (Verdict.AMBIGUOUS, Verdict.NOT_COMPARABLE)


def count_verdicts(rows: list[Row]) -> str:
    """Every verdict that occurs with its count, the grave ones first: "2 regressed, 30 same"."""
    counts = Counter(row.verdict for row in rows)
    # in the order of the class, where the grave ones stand first
    parts = [f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]]
    return ", ".join(parts) or "nothing to compare"


def select_notable(rows: list[Row]) -> list[Row]:
    """The rows a person has to look at: all but the same, the grave ones first."""
    notable = [row for row in rows if row.verdict is not Verdict.SAME]
    # False sorts before True
    return sorted(notable, key=lambda row: not row.verdict.fails)


def to_terminal(rows: list[Row]) -> Table:
    """The notable rows as a table of rich."""
    table = Table(*HEADERS, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in select_notable(rows):
        texts = _format_row(row)
        # names such as iou[land] are no markup
        entries = map(escape, texts.entries)
        table.add_row(*entries, style=row.verdict.style)
    return table


def to_markdown(rows: list[Row], rule: Rule) -> str:
    """A comment for a pull request: the verdict, what is notable, what its words mean, and the rest folded away."""
    outcome = "Regression found" if select_failing(rows) else "No regression found"
    counts = count_verdicts(rows)
    parts = [f"### upbench: {outcome}\n\n{counts}.\n"]
    notable = select_notable(rows)
    if notable:
        parts.append(_write_markdown_table(notable))
        parts.append(_explain_verdicts(notable))
    same = [row for row in rows if row.verdict is Verdict.SAME]
    if same:
        table = _write_markdown_table(same)
        parts.append(f"<details><summary>{len(same)} same</summary>\n\n{table}\n</details>\n")
    parts.append(_explain_rule(rule))
    return "\n".join(parts)


def to_json(rows: list[Row], rule: Rule) -> str:
    """{"failed": bool, "rule": ..., "rows": [...]}, figures unrounded."""
    document = {
        "failed": bool(select_failing(rows)),
        "rule": dataclasses.asdict(rule),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_junit(rows: list[Row]) -> str:
    """One test case a figure, as continuous integration services show them. What cannot be judged is skipped."""
    failures = len(select_failing(rows))
    skipped = sum(row.verdict in UNDECIDED for row in rows)
    suite = ElementTree.Element(
        "testsuite",
        name="upbench",
        tests=str(len(rows)),
        failures=str(failures),
        skipped=str(skipped),
    )
    for row in rows:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"upbench.{row.name}",
            name=row.metric,
        )
        texts = _format_row(row)
        message = f"{row.verdict}: {texts.detail}"
        if row.verdict.fails:
            ElementTree.SubElement(case, "failure", message=message)
        elif row.verdict in UNDECIDED:
            ElementTree.SubElement(case, "skipped", message=message)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


@dataclass(frozen=True)
class _Texts:
    """A row in words.

    Attributes:
        entries: its entries in the order of HEADERS.
        detail: base, head, change, p-value and note in one line, without those that are empty.
    """

    entries: tuple[str, ...]
    detail: str


def _format_row(row: Row) -> _Texts:
    # both sides share one unit, that of their median
    values = [value for value in (row.base, row.head) if value is not None]
    divisor, unit = scale(row.unit, values)
    base = _format_number(row.base, divisor, unit)
    head = _format_number(row.head, divisor, unit)
    span = f"{base} to {head}" if base else ""
    change = _format_change(row)
    p = _format_p_value(row.p)
    parts = filter(None, [span, change, p, row.note])
    return _Texts(
        entries=(
            row.name,
            row.metric,
            f"{row.verdict.sign} {row.verdict}",
            base,
            head,
            change,
            p,
            row.note,
        ),
        detail=", ".join(parts),
    )


def _write_markdown_table(rows: list[Row]) -> str:
    lines = [_join_cells(HEADERS), _join_cells(ALIGNMENTS)]
    for row in rows:
        texts = _format_row(row)
        lines.append(_join_cells(texts.entries))
    return "\n".join(lines) + "\n"


def _join_cells(entries: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(entries)} |"


def _explain_verdicts(rows: list[Row]) -> str:
    """What the words mean that occur."""
    occurring = {row.verdict for row in rows}
    sentences = [
        f"{verdict.capitalize()}: the figure {verdict.meaning}." for verdict in Verdict if verdict in occurring
    ]
    return " ".join(sentences) + "\n"


def _explain_rule(rule: Rule) -> str:
    """When a time counts as changed."""
    margin = _to_percent(rule.margin)
    confidence = 100 * (1 - rule.level)
    level = 100 * rule.level
    return (
        "Times are ratios to torch's transposed convolution in the same process; a process is one replicate. A time "
        f"counts as changed beyond {margin:g} %, with its {confidence:g} % bootstrap interval clear of no change and "
        f"an exact rank test significant at {level:g} % after the correction of Benjamini and Hochberg.\n"
    )


def _format_number(value: float | None, divisor: float, unit: str) -> str:
    """Exact figures whole, as a change of one byte or parameter must be seen; others to four digits."""
    if value is None:
        return ""
    if value == int(value):
        return f"{int(value):,}"
    digits = f"{value / divisor:.4g}"
    return digits if unit in ("", "1") else f"{digits} {unit}"


def _format_change(row: Row) -> str:
    """The ratio of noisy figures with its interval in percent, or the difference of exact ones."""
    evidence = row.evidence
    if evidence is not None:
        change = _to_percent(evidence.ratio)
        low = _to_percent(evidence.low)
        high = _to_percent(evidence.high)
        return f"{change:+.1f} % [{low:+.1f}, {high:+.1f}]"
    if row.base is None or row.head is None or row.base == row.head:
        return ""
    return f"{row.head - row.base:+,.6g}"


def _to_percent(ratio: float) -> float:
    """How far a ratio is from 1, in percent."""
    return 100 * (ratio - 1)


def _format_p_value(p: float | None) -> str:
    if p is None:
        return ""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.2g}"
