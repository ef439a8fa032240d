"""Verdicts for people (terminal, Markdown for a pull request comment) and for machines (JSON, JUnit)."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import get_args
from xml.etree import ElementTree

from rich.markup import escape
from rich.table import Table

from bench.gate.compare import FAILING, Row, Verdict, failing
from bench.gate.decide import Rule
from bench.report.tables import scale

SIGNS = {"regressed": "✗", "missing": "✗", "improved": "✓", "same": "=", "ambiguous": "?", "not comparable": "–"}
STYLES = {"regressed": "bold red", "missing": "bold red", "improved": "green", "ambiguous": "yellow", "same": "dim"}
HEADERS = ("cell", "figure", "verdict", "base", "head", "change", "p", "")


def headline(rows: list[Row]) -> str:
    """`2 regressed, 30 same`: every verdict that occurs, the grave ones first."""
    counts = Counter(row.verdict for row in rows)
    order = sorted(counts, key=lambda verdict: (verdict not in FAILING, list(get_args(Verdict)).index(verdict)))
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in order) or "nothing to compare"


def notable(rows: list[Row]) -> list[Row]:
    """The rows a person has to look at: all but the same, the grave ones first."""
    return sorted((row for row in rows if row.verdict != "same"), key=lambda row: row.verdict not in FAILING)


def to_terminal(rows: list[Row]) -> Table:
    table = Table(*HEADERS, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in notable(rows):
        table.add_row(*map(escape, _texts(row)), style=STYLES.get(row.verdict))
    return table


def to_markdown(rows: list[Row], rule: Rule) -> str:
    """A comment for a pull request: the verdict, what is notable, and the rest folded away."""
    outcome = "Regression found" if failing(rows) else "No regression found"
    parts = [f"### upbench: {outcome}\n\n{headline(rows)}.\n"]
    if shown := notable(rows):
        parts.append(_markdown_table(shown))
    if same := [row for row in rows if row.verdict == "same"]:
        parts.append(f"<details><summary>{len(same)} same</summary>\n\n{_markdown_table(same)}\n</details>\n")
    percent, interval, level = 100 * (rule.margin - 1), 100 * (1 - rule.level), 100 * rule.level
    parts.append(
        "Times are ratios to torch's transposed convolution in the same process; a process is one replicate. A time "
        f"counts as changed beyond {percent:g} %, with its {interval:g} % bootstrap interval clear of no change and an "
        f"exact rank test significant at {level:g} % after the correction of Benjamini and Hochberg.\n"
    )
    return "\n".join(parts)


def to_json(rows: list[Row], rule: Rule) -> str:
    """{"failed": bool, "rule": ..., "rows": [...]}, figures unrounded."""
    document = {
        "failed": bool(failing(rows)),
        "rule": dataclasses.asdict(rule),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_junit(rows: list[Row]) -> str:
    """One test case a figure, as continuous integration services show them; what cannot be judged is skipped."""
    skipped = [row for row in rows if row.verdict in ("ambiguous", "not comparable")]
    suite = ElementTree.Element(
        "testsuite", name="upbench", tests=str(len(rows)), failures=str(len(failing(rows))), skipped=str(len(skipped))
    )
    for row in rows:
        case = ElementTree.SubElement(suite, "testcase", classname=f"upbench.{row.name}", name=row.metric)
        base, head, change, p, note = _texts(row)[3:]
        detail = ", ".join(part for part in (f"{base} to {head}" if base else "", change, p, note) if part)
        if row.verdict in FAILING:
            ElementTree.SubElement(case, "failure", message=f"{row.verdict}: {detail}")
        elif row in skipped:
            ElementTree.SubElement(case, "skipped", message=f"{row.verdict}: {detail}")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _markdown_table(rows: list[Row]) -> str:
    lines = [f"| {' | '.join(HEADERS)} |", "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |"]
    lines += [f"| {' | '.join(_texts(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _texts(row: Row) -> tuple[str, ...]:
    values = [value for value in (row.base, row.head) if value is not None]
    divisor, unit = scale(row.unit, values)
    base, head = (_number(value, divisor, unit) for value in (row.base, row.head))
    verdict = f"{SIGNS[row.verdict]} {row.verdict}"
    p = "" if row.p is None else "p < 0.001" if row.p < 0.001 else f"p = {row.p:.2g}"
    return (row.name, row.metric, verdict, base, head, _change(row), p, row.note)


def _number(value: float | None, divisor: float, unit: str) -> str:
    """Exact figures whole, as a change of one byte or parameter must be seen; others to four digits."""
    if value is None:
        return ""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value / divisor:.4g} {'' if unit == '1' else unit}".strip()


def _change(row: Row) -> str:
    if row.evidence is not None:
        percent = [100 * (value - 1) for value in (row.evidence.ratio, row.evidence.low, row.evidence.high)]
        return f"{percent[0]:+.1f} % [{percent[1]:+.1f}, {percent[2]:+.1f}]"
    if row.base is None or row.head is None or row.base == row.head:
        return ""
    return f"{row.head - row.base:+,.6g}"
