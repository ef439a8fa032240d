"""How far a results folder is, for people."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.report.frame import MISSING, load_frame
from bench.run.provenance import fingerprint
from bench.run.store import Store


def describe(root: Path, console: Console) -> None:
    """Print a table of cells by experiment and outcome, the stale ones, and the reason of every failure."""
    frame = load_frame(root).drop_duplicates(["experiment", "cell"])
    store = Store(root)
    cells = store.read_grid().cells
    stale = {
        cell_id
        for cell_id, cell in cells.items()
        if (record := store.read(cell_id)) and record.fingerprint != fingerprint(cell)
    }
    outcomes = ["ok", *sorted(set(frame["outcome"]) - {"ok", MISSING}), MISSING]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("experiment", *outcomes, "stale", "seconds"):
        table.add_column(name, justify="left" if name == "experiment" else "right")
    for name, part in frame.groupby("experiment", sort=False):
        counts = part["outcome"].value_counts()
        seconds = part["duration"].sum()
        table.add_row(
            str(name),
            *(str(counts.get(outcome, 0)) for outcome in outcomes),
            str(part["cell"].isin(stale).sum()),
            f"{seconds:.0f}",
        )
    console.print(table)
    for _, row in frame[~frame["outcome"].isin(["ok", MISSING])].iterrows():
        name = f"{row['task']} {row['model']} {row['layer']} seed={row['seed']}"
        console.print(f"{row['outcome']}: {escape(name)} ({row['cell']}): {escape(row['reason'])}", soft_wrap=True)
