"""Writes what a run shows: tables, pictures, and the page that holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.report.frame import load_frame, write_frame
from bench.report.plots import draw, save
from bench.report.published import FILE as PUBLISHED
from bench.report.published import read_published
from bench.report.published import to_markdown as published_to_markdown
from bench.report.selection import ArraysMissing, NothingToDraw
from bench.report.summary import summarise
from bench.report.tables import differences_to_markdown, to_csv, to_latex, to_markdown
from bench.run.spec import TableSpec
from bench.run.store import Store, write_atomically

INDEX_HEAD = """# Reference runs

Each is made anew by `upbench run ablations/NAME.toml --out results/NAME`, some with `--data FOLDER`; the figures behind
every table are in `*/cells/*.json` and `*/frame.csv`.
"""


def write_tables(root: Path) -> str:
    """Write frame.{parquet,csv}, tables/NAME.{md,tex,csv} and README.md; return the tables as Markdown.

    tables/NAME-differences.md is beside them where a table holds the reference layer and another.
    Raises UserError for a folder that is no results folder or cannot be written.
    """
    text = write_summaries(root, load_frame(root), Store(root).read_grid().tables)
    _write_page(root)
    return text


def write_summaries(root: Path, frame: pd.DataFrame, specs: Sequence[TableSpec]) -> str:
    """What `write_tables` writes but for the page, of any tidy frame. Raises UserError if `root` cannot be written."""
    summaries = summarise(frame, specs)
    texts = [to_markdown(summary) for summary in summaries]
    try:
        write_frame(frame, root)
        (root / "tables").mkdir(exist_ok=True)
        for summary, markdown in zip(summaries, texts, strict=True):
            for suffix, text in (("md", markdown), ("tex", to_latex(summary)), ("csv", to_csv(summary))):
                write_atomically(root / "tables" / f"{summary.spec.name}.{suffix}", text)
            _write_or_remove(_differences(root, summary.spec.name), differences_to_markdown(summary))
    except OSError as error:
        raise UserError(f"results folder {root} cannot be written: {error.strerror or error}") from None
    return "\n".join(texts)


def _differences(root: Path, table: str) -> Path:
    return root / "tables" / f"{table}-differences.md"


def _write_or_remove(path: Path, text: str) -> None:
    if text:
        write_atomically(path, text)
    else:
        path.unlink(missing_ok=True)


def write_plots(root: Path) -> list[str]:
    """Draw figures/NAME.png for each figure of the grid; a line on each is returned.

    A figure of which the run holds nothing yet is left out, and its line says why. One of which only the arrays are
    missing, as in a copy without them, stays as it was drawn before. Raises UserError for a folder that is no results
    folder or cannot be written.
    """
    frame, store = load_frame(root), Store(root)
    folder = root / "figures"
    lines = []
    for spec in store.read_grid().figures:
        path = folder / f"{spec.name}.png"
        try:
            figure = draw(spec, frame, store)
            folder.mkdir(exist_ok=True)
            save(figure, path)
            lines.append(f"drew {path}")
        except ArraysMissing as error:
            lines.append(
                f"left {path} as it is: {error}" if path.exists() else f"left out figure {spec.name!r}: {error}"
            )
        except NothingToDraw as error:
            path.unlink(missing_ok=True)  # an old picture would not be of this run
            lines.append(f"left out figure {spec.name!r}: {error}")
        except OSError as error:
            raise UserError(f"results folder {root} cannot be written: {error.strerror or error}") from None
    _write_page(root)
    return lines


def write_index(folder: Path) -> Path:
    """Write folder/README.md, which shows every results folder directly below; its path is returned.

    After them come the figures of folder/published.toml, if there is one. Raises UserError if there is no results
    folder, or that file is damaged.
    """
    roots = sorted(path.parent for path in folder.glob("*/grid.json"))
    if not roots:
        raise UserError(f"{folder} holds no results folder; `upbench run GRID --out {folder / 'NAME'}` makes one")
    pages = [f"## {Store(root).read_grid().title}\n\n{_body(root, f'{root.name}/')}" for root in roots]
    if (published := folder / PUBLISHED).exists():
        pages.append(published_to_markdown(read_published(published)))
    path = folder / "README.md"
    _write(path, "\n".join([INDEX_HEAD, *pages]))
    return path


def _write_page(root: Path) -> None:
    _write(root / "README.md", f"# {Store(root).read_grid().title}\n\n{_body(root)}")


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None


def _body(root: Path, prefix: str = "") -> str:
    """Facts, tables and pictures of a run, whose files are at `prefix` from the page."""
    store = Store(root)
    grid = store.read_grid()
    records = [record for cell_id in grid.cells if (record := store.read(cell_id))]
    ended = sum(record.outcome == "ok" for record in records)
    facts = sorted(
        {
            f"{env['processor']}, {env['cores']} cores, Python {env['python']}, torch {env['libraries']['torch']}, "
            f"upbench {env['suite']}, commit {env['commit']}"
            for env in (record.environment for record in records)
        }
    )
    written = [
        path for spec in grid.tables for path in (root / "tables" / f"{spec.name}.md", _differences(root, spec.name))
    ]
    tables = [path.read_text(encoding="utf-8") for path in written if path.exists()]
    drawn = [spec for spec in grid.figures if (root / "figures" / f"{spec.name}.png").exists()]
    pictures = [f"### {spec.title}\n\n![{spec.title}]({prefix}figures/{spec.name}.png)\n" for spec in drawn]
    return "\n".join(
        [
            f"{ended} of {len(grid.cells) + len(grid.choices)} cells ended well. "
            f"Measured on: {'; '.join(facts) or 'nothing yet'}.\n",
            *tables,
            *pictures,
        ]
    )
