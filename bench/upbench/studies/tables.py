"""The tables of the studies' pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def format_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown whose first column is text and whose others are figures."""
    rule = ["---"]
    rule += ["---:"] * len(head[1:])  # to the right, so that figures stand digit under digit
    text = ""
    for row in (head, rule, *lines):
        text += f"| {' | '.join(row)} |\n"
    return text
