"""Writes what a run shows into its folder: the tidy frame, the tables, the pictures and the page that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from upbench.errors import UserError
from upbench.files import write_atomically
from upbench.grid.spec import FigureSpec, TableSpec
from upbench.report.figures import draw, save_figure
from upbench.report.frame import to_frame, write_frame
from upbench.report.latex import table_to_latex
from upbench.report.markdown import (
    differences_to_markdown,
    page_to_markdown,
    section_to_markdown,
    table_to_markdown,
)
from upbench.report.page import build_page, picture_path
from upbench.report.published import FILE as PUBLISHED
from upbench.report.published import published_to_markdown, read_published
from upbench.report.selection import ArraysMissing, Material, NothingToDraw, gather_material
from upbench.report.summary import Summary, summarise
from upbench.report.tables_csv import table_to_csv
from upbench.store.results import Results, read_results

INDEX_HEAD = """# Reference runs

Each is made anew by `upbench run ablations/NAME.toml --out results/NAME`, some with `--data FOLDER`; the figures behind
every table are in `*/cells/*.json` and `*/frame.csv`.
"""


def write_tables(results: Results) -> str:
    """Write frame.{parquet,csv}, tables/NAME.{md,tex,csv}, tables/NAME-differences.md and README.md.

    The differences are written where a table holds the reference layer and another.

    Returns:
        The tables as Markdown.

    Raises:
        UserError: the folder cannot be written, or a table would compare what cannot be compared.
    """
    frame = to_frame(results.grid, results.records)
    summaries = summarise(frame, results.grid.tables)
    text = _write_summaries(results.root, frame, summaries)
    _write_page(results, summaries)
    return text


def write_summaries(root: Path, frame: pd.DataFrame, specs: Sequence[TableSpec]) -> str:
    """Write the tables of any tidy frame, and the frame: what `write_tables` writes, but for the page.

    Returns:
        The tables as Markdown.

    Raises:
        UserError: `root` cannot be written, or a table would compare what cannot be compared.
    """
    return _write_summaries(root, frame, summarise(frame, specs))


def write_plots(results: Results) -> list[str]:
    """Draw figures/NAME.png for each figure of the grid, and write README.md.

    A figure of which the run holds nothing yet is left out, and its line says why. One of which only the arrays are
    missing, as in a copy without them, stays as it was drawn before.

    Returns:
        A line on each figure.

    Raises:
        UserError: the folder cannot be written, or a table would compare what cannot be compared.
    """
    # the frame is made of records in memory; nothing is read here
    frame = to_frame(results.grid, results.records)
    material = gather_material(frame, results)
    lines = [_draw_or_leave(spec, material) for spec in results.grid.figures]
    # after the pictures, as the page shows those that are there
    _write_page(results, summarise(frame, results.grid.tables))
    return lines


def write_index(folder: Path) -> Path:
    """Write folder/README.md, which shows every results folder directly below.

    After them come the figures of folder/published.toml, if there is one.

    Returns:
        The path of the file.

    Raises:
        UserError: there is no results folder, or one of them or the published figures are damaged.
    """
    roots = sorted(path.parent for path in folder.glob("*/grid.json"))
    if not roots:
        raise UserError(f"{folder} holds no results folder; `upbench run GRID --out {folder / 'NAME'}` makes one")
    parts = [INDEX_HEAD]
    for root in roots:
        page = build_page(read_results(root))
        parts.append(section_to_markdown(page, root.name))
    published = folder / PUBLISHED
    if published.exists():
        parts.append(published_to_markdown(read_published(published)))
    path = folder / "README.md"
    with _user_errors(path):
        write_atomically(path, "\n".join(parts))
    return path


def _write_summaries(root: Path, frame: pd.DataFrame, summaries: Sequence[Summary]) -> str:
    """Write the frame and its tables; return the tables as Markdown."""
    folder = root / "tables"
    texts = []
    with _user_errors(root, "results folder "):
        write_frame(frame, root)
        folder.mkdir(exist_ok=True)
        for summary in summaries:
            name = summary.spec.name
            markdown = table_to_markdown(summary)
            write_atomically(folder / f"{name}.md", markdown)
            write_atomically(folder / f"{name}.tex", table_to_latex(summary))
            write_atomically(folder / f"{name}.csv", table_to_csv(summary))
            # an earlier run may have had a reference layer where this one has none
            _write_or_remove(folder / f"{name}-differences.md", differences_to_markdown(summary))
            texts.append(markdown)
    return "\n".join(texts)


def _write_or_remove(path: Path, text: str) -> None:
    """Write the text, or remove what an earlier run wrote where there is none now."""
    if text:
        write_atomically(path, text)
    else:
        path.unlink(missing_ok=True)


def _draw_or_leave(spec: FigureSpec, material: Material) -> str:
    """Draw one figure if the run holds what it shows, and return a line on what was done."""
    root = material.results.root
    path = picture_path(root, spec.name)
    try:
        figure = draw(spec, material)
    except ArraysMissing as error:
        # a clone of committed results has the picture, not the arrays
        if path.exists():
            return f"left {path} as it is: {error}"
        return f"left out figure {spec.name!r}: {error}"
    except NothingToDraw as error:
        with _user_errors(root, "results folder "):
            path.unlink(missing_ok=True)  # an old picture would not be of this run
        return f"left out figure {spec.name!r}: {error}"
    with _user_errors(root, "results folder "):
        path.parent.mkdir(exist_ok=True)
        save_figure(figure, path)
    return f"drew {path}"


def _write_page(results: Results, summaries: Sequence[Summary]) -> None:
    """Write README.md of a results folder."""
    path = results.root / "README.md"
    page = build_page(results, summaries)
    with _user_errors(path):
        write_atomically(path, page_to_markdown(page))


@contextmanager
def _user_errors(path: Path, what: str = "") -> Iterator[None]:
    """Turn the OSError of writing into a UserError that names the path."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{what}{path} cannot be written: {error.strerror or error}") from None
