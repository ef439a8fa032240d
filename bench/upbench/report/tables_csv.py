"""Tables as CSV, for programs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from upbench.report.blocks import Column
from upbench.report.summary import Entry, Summary


def table_to_csv(summary: Summary) -> str:
    """Write one line for each entry of a table, with figures unrounded and in base units.

    The column `scale` is that of detectable, difference and difference_half_width: "log" means natural logarithms of
    ratios.
    """
    lines = []
    for label, row in summary.entries.items():
        for column in summary.columns:
            entry = row.get(column.name)
            # rows of one experiment have no entry in the columns of another
            if entry is not None:
                lines.append(_describe_entry(label, column, entry))
    return pd.DataFrame(lines).to_csv(index=False)


def _describe_entry(label: str, column: Column, entry: Entry) -> dict[str, Any]:
    """One line, by the name of each of its fields."""
    difference = entry.difference
    return {
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
        "difference": difference.mean if difference else None,
        "difference_n": difference.n if difference else None,
        "difference_half_width": difference.half_width if difference else None,
        "p_adjusted": entry.p,
    }
