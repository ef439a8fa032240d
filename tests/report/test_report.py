"""Frame, tables and figures of a real run."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.layers import LAYERS
from bench.report.frame import load_frame
from bench.report.page import write_plots, write_tables
from bench.report.plots import draw
from bench.report.statistics import estimate
from bench.report.style import colour, marker
from bench.report.tables import number, scale, summarise, to_latex, to_markdown
from bench.run.grid import FigureSpec, TableSpec
from bench.run.store import Store
from tests.conftest import ROOT, environment

SPEC = TableSpec(name="quality", title="Quality", columns=["coast.mean_iou", "coast.boundary_iou"])


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_reading_results_needs_no_torch(finished: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from bench.report.page import write_tables, write_plots;"
        f"out = Path({str(finished)!r}); write_tables(out); write_plots(out); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=environment(), cwd=ROOT, capture_output=True)


def test_the_frame_has_a_row_for_every_measurement(finished: Path) -> None:
    frame = load_frame(finished)
    assert len(frame) == 2 * 2 * 3
    assert set(frame["metric"]) == {"mean_iou", "boundary_iou", "pixel_accuracy"}
    assert set(frame["layer"]) == {"transposed_conv", "pixel_dcl"}
    stored = pd.read_parquet(finished / "frame.parquet")
    assert stored["value"].tolist() == frame["value"].tolist()


def test_a_missing_cell_is_a_row_not_a_gap(copy: Path) -> None:
    sorted((copy / "cells").glob("*.json"))[0].unlink()
    frame = load_frame(copy)
    missing = frame[frame["outcome"] == "missing"]
    assert len(missing) == 1
    assert math.isnan(missing["value"].iloc[0])
    assert "(1 lost)" in write_tables(copy)


def test_the_table_says_what_the_cells_say(finished: Path) -> None:
    frame = load_frame(finished)
    summary = summarise(frame, SPEC)
    for layer in ("transposed_conv", "pixel_dcl"):
        chosen = frame[(frame["layer"] == layer) & (frame["metric"] == "mean_iou")]["value"]
        assert summary.entries[layer]["coast.mean_iou"].estimate == estimate(chosen.tolist())
    with (finished / "tables" / "quality.csv").open() as stream:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(stream)}
    for (layer, column), row in rows.items():
        entry = summary.entries[layer][column]
        assert float(row["mean"]) == entry.estimate.mean
        assert int(row["n"]) == 2
        assert (row["best"] == "True") == entry.best


def test_markdown_and_latex_mark_the_best_and_state_n(finished: Path) -> None:
    summary = summarise(load_frame(finished), SPEC)
    markdown, latex = to_markdown(summary), to_latex(summary)
    assert "n = 2" in markdown
    for column in summary.columns:
        assert sum(row[column.name].best for row in summary.entries.values()) == 1
    assert markdown.count("**") == 2 * len(summary.columns)
    assert latex.count(r"\textbf") == len(summary.columns)
    assert r"pixel\_dcl" in latex
    assert not [character for character in "_±≈↑" if character in latex.replace(r"\_", "").replace(r"\label{tab:", "")]


def test_a_table_that_would_mix_settings_is_refused(finished: Path) -> None:
    with pytest.raises(UserError, match="would average over 'layer'"):
        summarise(load_frame(finished), TableSpec(name="t", title="t", rows=["task"], columns=["coast.mean_iou"]))


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_numbers_carry_the_digits_their_interval_can_bear(value: float, half_width: float) -> None:
    shown, width = number(value, half_width).replace(",", "").split(" ± ")
    assert abs(float(shown) - value) <= 0.51 * max(1e-12, half_width)
    assert float(width) == pytest.approx(half_width, rel=0.051)


@given(st.lists(st.floats(1e-6, 1e12), min_size=1), st.sampled_from(["s", "B", "FLOP", "dB"]))
def test_a_column_shares_one_unit(values: list[float], unit: str) -> None:
    divisor, name = scale(unit, values)
    assert name.endswith(unit)
    if unit == "B":
        assert np.median(values) / divisor >= 1 or name == "B"


def test_every_layer_looks_different() -> None:
    assert len({(colour(layer), marker(layer)) for layer in LAYERS}) == len(LAYERS)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Store]:
    """A frame and arrays with all that figures can show; drawing is tested here, not the figures' values."""
    store = Store(tmp_path_factory.mktemp("rich"))
    store.cells.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for layer in LAYERS:
        for seed in (0, 1, 2):
            for side in (16, 32):
                cell = f"{layer}{seed}{side}"
                base = {
                    "experiment": "e",
                    "cell": cell,
                    "outcome": "ok",
                    "layer": layer,
                    "seed": seed,
                    "task.side": side,
                }
                for metric, unit in (("time", "s"), ("peak", "B")):
                    value = rng.uniform(1, 2) * side * 1e-4
                    rows.append({**base, "metric": metric, "unit": unit, "better": "lower", "value": value})
                np.savez(
                    store.arrays(cell),
                    image=rng.integers(0, 256, (3, 16, 16, 3), np.uint8), truth=np.zeros((3, 16, 16), np.uint8),
                    prediction=np.ones((3, 16, 16), np.uint8), class_names=np.array(["a", "b"]),
                    generated=rng.integers(0, 256, (9, 16, 16, 1), np.uint8),
                    original=rng.integers(0, 256, (9, 16, 16, 1), np.uint8),
                    spectrum=rng.uniform(1, 2, (16, 16)), spectrum_real=rng.uniform(1, 2, (16, 16)),
                )  # fmt: skip
    return pd.DataFrame(rows), store


@pytest.mark.parametrize("kind", ["tradeoff", "lines", "masks", "images", "spectra"])
def test_every_kind_of_figure_is_drawn_with_units(kind: str, rich: tuple[pd.DataFrame, Store]) -> None:
    frame, store = rich
    if kind == "tradeoff":
        frame = frame[frame["task.side"] == 16]
    spec = FigureSpec(name="f", title="Title", kind=kind, x="e.time", y="e.peak", experiment="e")
    figure = draw(spec, frame, store)
    figure.canvas.draw()
    words = {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}
    assert "Title" in words
    for layer in LAYERS:
        assert any(layer in {word, word.replace("\n", "_")} for word in words), layer
    if kind in ("tradeoff", "lines", "spectra"):
        for axes in figure.axes:
            assert not axes.get_ylabel() or "[" in axes.get_ylabel()


def test_figures_are_files(finished: Path) -> None:
    assert write_plots(finished) == [f"drew {finished / 'figures' / 'masks.png'}"]
    assert (finished / "figures" / "masks.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_without_data_is_left_out_and_says_why(copy: Path) -> None:
    for path in (copy / "cells").iterdir():
        path.unlink()
    assert write_plots(copy) == ["left out figure 'masks': experiment 'coast' has no finished cell to draw"]
    assert not (copy / "figures" / "masks.png").exists(), "an old picture would not be of this run"


def test_the_page_shows_all_of_it(finished: Path) -> None:
    page = (finished / "README.md").read_text()
    assert "4 of 4 cells ended well" in page
    assert "### Quality" in page
    assert "figures/masks.png" in page
    grid = json.loads((finished / "grid.json").read_text())
    assert len(grid["experiments"][0]["cells"]) == 4


def test_layers_that_differ_in_an_option_have_labels_of_their_own(copy: Path) -> None:
    grid = json.loads((copy / "grid.json").read_text())
    cells = grid["experiments"][0]["cells"]
    cells.append({**cells[0], "layer": {**cells[0]["layer"], "kernel": 3}})
    (copy / "grid.json").write_text(json.dumps(grid))
    labels = set(load_frame(copy)["layer"])
    assert labels == {"transposed_conv kernel=4", "transposed_conv kernel=3", "pixel_dcl"}
    assert colour("transposed_conv kernel=3") == colour("transposed_conv")
