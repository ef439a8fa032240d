"""Tables and pages as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from upbench.report.page import Facts, Page, Picture
from upbench.report.summary import Summary
from upbench.report.tables import Text, TextTable, make_differences, make_table


def table_to_markdown(summary: Summary) -> str:
    """Write a table for README files, with title and note."""
    return _write_table(make_table(summary), "###")


def differences_to_markdown(summary: Summary) -> str:
    """Write each layer's paired difference to the reference layer, or "" where there is none to show."""
    table = make_differences(summary)
    return _write_table(table, "####") if table else ""


def page_to_markdown(page: Page) -> str:
    """Write the page of one run, for the folder of its results."""
    return f"# {page.title}\n\n{_write_body(page, '')}"


def section_to_markdown(page: Page, folder: str) -> str:
    """Write the page of one run as a section of a page above it. `folder`: the name of the run's folder from there."""
    return f"## {page.title}\n\n{_write_body(page, folder + '/')}"


def _write_body(page: Page, prefix: str) -> str:
    """Facts, tables and pictures of a run whose files are at `prefix` from the page."""
    parts = [_write_facts(page.facts)]
    for summary in page.tables:
        parts.append(table_to_markdown(summary))
        differences = differences_to_markdown(summary)
        if differences:
            parts.append(differences)
    parts += [_write_picture(picture, prefix) for picture in page.pictures]
    return "\n".join(parts)


def _write_facts(facts: Facts) -> str:
    """The line of what stands behind the figures."""
    machines = "; ".join(facts.machines) or "nothing yet"
    return f"{facts.ended_well} of {facts.cells} cells ended well. Measured on: {machines}.\n"


def _write_picture(picture: Picture, prefix: str) -> str:
    """A headline and the picture."""
    return f"### {picture.title}\n\n![{picture.title}]({prefix}{picture.path})\n"


def _write_table(table: TextTable, level: str) -> str:
    """The headline, the table and the note. `level`: the number signs of the headline."""
    figures = len(table.headers) - 1
    # row labels to the left, figures to the right
    alignment = ["---", *["---:"] * figures]
    lines = [
        _write_line(table.headers),
        _write_line(alignment),
    ]
    for label, fields in table.rows:
        texts = map(_mark, fields)
        lines.append(_write_line([label, *texts]))
    body = "\n".join(lines)
    return f"{level} {table.title}\n\n{body}\n\n{table.note}\n"


def _write_line(texts: Iterable[str]) -> str:
    """One line of a table."""
    joined = " | ".join(texts)
    return f"| {joined} |"


def _mark(field: Text) -> str:
    """A field with its mark."""
    if field.mark == "best":
        return f"**{field.text}**"
    if field.mark == "tied":
        return f"{field.text} ≈"
    return field.text
