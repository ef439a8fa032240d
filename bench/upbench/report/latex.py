"""Tables as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable

from upbench.report.summary import Summary
from upbench.report.tables import Text, make_table

# characters that mean something to LaTeX, or that its standard fonts lack
ESCAPES = str.maketrans(
    {
        "_": r"\_",
        "%": r"\%",
        "&": r"\&",
        "#": r"\#",
        "±": r"$\pm$",
        "≈": r"$\approx$",
        "×": r"$\times$",
        "µ": r"$\mu$",
        "↓": r"$\downarrow$",
        "↑": r"$\uparrow$",
    }
)


def table_to_latex(summary: Summary) -> str:
    r"""Write a table for a paper, with a caption and a label. It needs \usepackage{booktabs}."""
    table = make_table(summary)
    caption = _escape(f"{table.title}. {table.note}")
    # row labels to the left, figures to the right
    alignment = "l" + "r" * (len(table.headers) - 1)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _write_line(map(_escape, table.headers)),
        r"\midrule",
    ]
    for label, fields in table.rows:
        texts = map(_mark, fields)
        lines.append(_write_line([_escape(label), *texts]))
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _write_line(texts: Iterable[str]) -> str:
    """One line of a table."""
    return " & ".join(texts) + r" \\"


def _mark(field: Text) -> str:
    """A field with its mark."""
    text = _escape(field.text)
    if field.mark == "best":
        return rf"\textbf{{{text}}}"
    if field.mark == "tied":
        return text + _escape(" ≈")
    return text


def _escape(text: str) -> str:
    """The text with the commands that LaTeX needs for characters with a meaning of their own."""
    return text.translate(ESCAPES)
