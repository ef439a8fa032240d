"""Frame, tables and figures of a real run."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upbench.errors import UserError
from upbench.grid.spec import FigureSpec, TableSpec
from upbench.grid.types import Grid
from upbench.labels import label_columns
from upbench.layers import LAYERS
from upbench.report.figures import draw
from upbench.report.frame import to_frame
from upbench.report.latex import table_to_latex
from upbench.report.markdown import differences_to_markdown, table_to_markdown
from upbench.report.selection import Material, NothingToDraw, gather_material
from upbench.report.statistics import detectable, estimate
from upbench.report.style import choose_palette
from upbench.report.summary import summarise
from upbench.report.tables import number, scale
from upbench.report.tables_csv import table_to_csv
from upbench.report.write import write_index, write_plots, write_tables
from upbench.store.results import Results, read_results
from upbench.store.store import Store

from tests.conftest import ROOT, environment


def load_frame(root: Path) -> pd.DataFrame:
    results = read_results(root)
    return to_frame(results.grid, results.records)


SPEC = TableSpec(name="quality", title="Quality", columns=["coast.mean_iou", "coast.boundary_iou"])


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_reading_results_needs_no_torch(finished: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from upbench.store.results import read_results;"
        "from upbench.report.write import write_tables, write_plots;"
        f"results = read_results(Path({str(finished)!r})); write_tables(results); write_plots(results);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=environment(), cwd=ROOT, capture_output=True)


def test_the_frame_has_a_row_for_every_measurement(finished: Path) -> None:
    frame = load_frame(finished)
    assert len(frame) == 2 * 2 * 4
    assert set(frame["metric"]) == {"mean_iou", "boundary_iou", "pixel_accuracy", "val_mean_iou"}
    assert set(frame["layer"]) == {"transposed_conv", "pixel_dcl"}
    stored = pd.read_parquet(finished / "frame.parquet")
    assert stored["value"].tolist() == frame["value"].tolist()


def test_a_missing_cell_is_a_row_not_a_gap(copy: Path) -> None:
    sorted((copy / "cells").glob("*.json"))[0].unlink()
    frame = load_frame(copy)
    missing = frame[frame["outcome"] == "missing"]
    assert len(missing) == 1
    assert math.isnan(missing["value"].iloc[0])
    assert "(1 lost)" in write_tables(read_results(copy))


def test_the_table_says_what_the_cells_say(finished: Path) -> None:
    frame = load_frame(finished)
    (summary,) = summarise(frame, [SPEC])
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
    (summary,) = summarise(load_frame(finished), [SPEC])
    markdown, latex = table_to_markdown(summary), table_to_latex(summary)
    assert "n = 2" in markdown
    for column in summary.columns:
        assert sum(row[column.name].best for row in summary.entries.values()) == 1
    assert markdown.count("**") == 2 * len(summary.columns)
    assert latex.count(r"\textbf") == len(summary.columns)
    assert r"pixel\_dcl" in latex
    assert not [character for character in "_±≈↑" if character in latex.replace(r"\_", "").replace(r"\label{tab:", "")]


def test_a_table_that_would_mix_settings_is_refused(finished: Path) -> None:
    with pytest.raises(UserError, match="would compare and average cells that differ in 'layer'"):
        summarise(load_frame(finished), [TableSpec(name="t", title="t", rows=["task"], columns=["coast.mean_iou"])])


def simulated(
    values: dict[str, list[float | None]], *, varies: str = "seed", experiment: str = "e", better: str = "lower"
) -> pd.DataFrame:
    """The frame of one experiment with one metric; None is a replicate that diverged."""
    known = {"experiment": experiment, "unit": "1", "better": better, "varies": varies, "tuned": "", "splits": ""}
    return pd.DataFrame(
        [
            known | {"cell": f"{experiment}{layer}{seed}", "layer": layer, "seed": seed, "outcome": "diverged"}
            | ({} if value is None else {"outcome": "ok", "metric": "m", "value": value})
            for layer, row in values.items() for seed, value in enumerate(row)
        ]
    )  # fmt: skip


TABLE = TableSpec(name="t", title="t", columns=["e.m"])


def test_each_layer_is_compared_with_the_reference_by_pairs() -> None:
    rows = {"pixel_dcl": [1.0, 3.1, 2.0], "transposed_conv kernel=4": [2.0, 4.0, 3.1], "carafe": [9.0, 2.0, 5.0]}
    (summary,) = summarise(simulated(rows), [TABLE])
    differences = {label: row["e.m"].difference for label, row in summary.entries.items()}
    assert differences["transposed_conv kernel=4"] is None
    assert differences["pixel_dcl"] == estimate([-1.0, 3.1 - 4.0, 2.0 - 3.1])
    assert summary.entries["pixel_dcl"]["e.m"].p < 0.05 < summary.entries["carafe"]["e.m"].p
    text = differences_to_markdown(summary)
    assert "| pixel_dcl | -1.00 ± 0.25 better |" in text
    assert "≈ |" in text
    assert "transposed_conv kernel=4 |" not in text


def test_pairs_survive_a_diverged_replicate() -> None:
    whole = simulated({"transposed_conv": [2.0, 4.0, 3.1, 5.0], "pixel_dcl": [1.0, 3.1, 2.0, None]})
    entry = summarise(whole, [TABLE])[0].entries["pixel_dcl"]["e.m"]
    assert (entry.lost, entry.estimate.n) == (1, 3)
    assert entry.difference == estimate([-1.0, 3.1 - 4.0, 2.0 - 3.1])


def test_a_layer_that_never_ended_is_no_winner_and_spoils_nothing() -> None:
    values = {"transposed_conv": [2.0, 4.0, 3.1], "pixel_dcl": [1.0, 3.1, 2.0]}
    with_it = summarise(simulated({**values, "carafe": [None] * 3}), [TABLE])[0].entries
    without = summarise(simulated(values), [TABLE])[0].entries
    assert {label: with_it[label] for label in values} == without
    assert (with_it["carafe"]["e.m"].best, with_it["carafe"]["e.m"].tied, with_it["carafe"]["e.m"].lost) == (0, 0, 3)


def test_times_are_compared_as_ratios() -> None:
    rows = {"transposed_conv": [1.0, 2.0, 4.0], "pixel_dcl": [2.0, 4.1, 8.0]}
    (summary,) = summarise(simulated(rows, varies="machine"), [TABLE])
    difference = summary.entries["pixel_dcl"]["e.m"].difference
    assert difference is not None
    assert math.exp(difference.mean) == pytest.approx((2 * 2.05 * 2) ** (1 / 3))
    assert "× 2.02 (1.95 to 2.09) worse" in differences_to_markdown(summary)


def test_figures_that_never_vary_differ_if_they_differ() -> None:
    rows = {"transposed_conv": [5.0], "pixel_dcl": [5.0], "carafe": [6.0]}
    (summary,) = summarise(simulated(rows, varies="never"), [TABLE])
    found = {label: (row["e.m"].best, row["e.m"].tied) for label, row in summary.entries.items()}
    assert found == {"transposed_conv": (True, False), "pixel_dcl": (False, True), "carafe": (False, False)}
    assert differences_to_markdown(summary) == ""
    assert "detectable" not in table_to_markdown(summary)


def test_what_the_run_could_have_detected_is_printed_beside_the_table() -> None:
    rng = np.random.default_rng(0)
    values = {layer: rng.normal(10, 1, 5).tolist() for layer in ("transposed_conv", "pixel_dcl", "carafe")}
    (summary,) = summarise(simulated(values), [TABLE])
    expected = detectable(np.array(list(values.values())).T)
    assert f"| detectable at n = 5 | {expected:.1f} |" in table_to_markdown(summary)
    assert "detectable at n = 5" in table_to_latex(summary)
    stored = pd.read_csv(io.StringIO(table_to_csv(summary)))
    assert stored["detectable"].tolist() == pytest.approx([expected] * 3)


def test_the_correction_is_for_all_columns_of_all_tables_and_counts_none_twice() -> None:
    rows = {"transposed_conv": [2.0, 4.0, 3.1], "pixel_dcl": [1.0, 3.1, 2.0]}
    frame = pd.concat([simulated(rows), simulated(rows, experiment="f")])
    other = TableSpec(name="u", title="u", columns=["f.m"])
    p_values = [
        summarise(frame, specs)[0].entries["pixel_dcl"]["e.m"].p for specs in ([TABLE], [TABLE, TABLE], [TABLE, other])
    ]
    assert p_values == pytest.approx([p_values[0], p_values[0], 2 * p_values[0]])


def test_rows_are_compared_only_with_rows_that_differ_in_nothing_but_the_layer() -> None:
    rows = {"transposed_conv": [2.0, 4.0, 3.1], "pixel_dcl": [1.0, 3.1, 2.0]}
    frame = pd.concat([simulated(rows).assign(**{"model.skips": s}) for s in (True, False)])
    frame["cell"] += frame["model.skips"].astype(str)
    (summary,) = summarise(frame, [TableSpec(name="t", title="t", rows=["layer", "model.skips"], columns=["e.m"])])
    assert sum(row["e.m"].best for row in summary.entries.values()) == 2
    assert summary.entries["transposed_conv skips=False"]["e.m"].difference is None


def test_rows_that_differ_in_more_or_saw_other_data_are_refused() -> None:
    frame = simulated({"transposed_conv": [2.0, 4.0, 3.1], "pixel_dcl": [1.0, 3.1, 2.0]})
    ours = frame["layer"] == "pixel_dcl"
    with pytest.raises(UserError, match=r"differ in 'task\.steps'"):
        summarise(frame.assign(**{"task.steps": np.where(ours, 10, 1000)}), [TABLE])
    with pytest.raises(UserError, match="different data"):
        summarise(frame.assign(splits=np.where(ours, "a", "b")), [TABLE])
    summarise(frame.assign(splits=np.where(ours, "a", "")), [TABLE])  # those that have not ended saw none yet
    chosen = frame.assign(**{"task.learning_rate": np.where(ours, 1e-3, 2e-3)}, tuned="task.learning_rate")
    assert summarise(chosen, [TABLE])[0].entries["pixel_dcl"]["e.m"].best


def test_seconds_are_shown_and_not_compared() -> None:
    rows = {"transposed_conv": [1.0, 2.0, 4.0], "pixel_dcl": [2.0, 4.1, 8.0]}
    (summary,) = summarise(simulated(rows, varies="machine").assign(unit="s"), [TABLE])
    assert differences_to_markdown(summary) == ""
    text = table_to_markdown(summary)
    assert not any(mark in text.split("Mean ±")[0] for mark in ("**", "≈", "detectable"))
    assert "Seconds are not compared" in text


def test_the_reference_is_the_first_transposed_convolution_and_is_named() -> None:
    rows = {"transposed_conv kernel=4": [2.0, 4.0, 3.1], "transposed_conv kernel=3": [2.1, 4.0, 3.0]}
    (summary,) = summarise(simulated(rows | {"pixel_dcl": [1.0, 3.1, 2.0]}), [TABLE])
    assert "differences to transposed_conv kernel=4" in differences_to_markdown(summary)


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
    palette = choose_palette([*LAYERS, "MyLayer", "Mine scale=2", "Mine scale=3"])
    looks = {(palette.colour(name), palette.marker(name)) for name in [*LAYERS, "MyLayer", "Mine"]}
    assert len(looks) == len(LAYERS) + 2
    assert palette.colour("Mine scale=2") == palette.colour("Mine scale=3")
    assert palette.marker_face("Mine scale=3", ["Mine scale=2", "Mine scale=3"]) == "white"


def test_a_layer_that_is_not_registered_looks_the_same_in_every_picture_of_a_run() -> None:
    palette = choose_palette(["MyLayer", "pixel_dcl", "Mine"])
    assert palette.places["pixel_dcl"] == list(LAYERS).index("pixel_dcl"), "and registered ones the same in every run"
    assert [palette.places[name] for name in ("MyLayer", "Mine")] == [len(LAYERS), len(LAYERS) + 1]


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Material:
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
                    "tuned": "",
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
    grid = Grid("rich", 1.0, (), (), (), ())
    return gather_material(pd.DataFrame(rows), Results(store.root, grid, {}))


@pytest.mark.parametrize("kind", ["tradeoff", "lines", "masks", "images", "spectra"])
def test_every_kind_of_figure_is_drawn_with_units(kind: str, rich: Material) -> None:
    spec = FigureSpec(name="f", title="Title", kind=kind, x="e.time", y="e.peak", experiment="e")
    figure = draw(spec, rich)
    figure.canvas.draw()
    words = {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}
    assert "Title" in words
    for layer in LAYERS:
        assert any(layer in {word, word.replace("\n", "_")} for word in words), layer
    if kind in ("tradeoff", "lines", "spectra"):
        for axes in figure.axes:
            assert not axes.get_ylabel() or "[" in axes.get_ylabel()


def test_a_tradeoff_has_a_panel_for_each_setting_of_its_y(rich: Material) -> None:
    frame = rich.frame
    spec = FigureSpec(name="f", title="Title", kind="tradeoff", x="e.time", y="e.peak")
    assert [axes.get_title() for axes in draw(spec, rich).axes] == ["side 16", "side 32"]
    once = frame[(frame["metric"] == "peak") | (frame["task.side"] == 16)]
    times = once["metric"] == "time"
    apart = once.assign(experiment=np.where(times, "x", "y"))
    panels = draw(spec.model_copy(update={"x": "x.time", "y": "y.peak"}), replace(rich, frame=apart)).axes
    assert len(panels) == 2
    other = apart.assign(**{"task.side": apart["task.side"].where(~times)})
    with pytest.raises(NothingToDraw, match=r"'task\.side' varies in 'y\.peak', which has none like 'x\.time'"):
        draw(spec.model_copy(update={"x": "y.peak", "y": "x.time"}), replace(rich, frame=other))


def test_figures_are_files(finished: Path) -> None:
    assert write_plots(read_results(finished)) == [f"drew {finished / 'figures' / 'masks.png'}"]
    assert (finished / "figures" / "masks.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_without_data_is_left_out_and_says_why(copy: Path) -> None:
    for path in (copy / "cells").iterdir():
        path.unlink()
    assert write_plots(read_results(copy)) == [
        "left out figure 'masks': experiment 'coast' has no finished cell to draw"
    ]
    assert not (copy / "figures" / "masks.png").exists(), "an old picture would not be of this run"


def test_a_picture_outlives_the_arrays_it_was_drawn_from(finished: Path, copy: Path) -> None:
    """A clone of committed results has the records and the pictures, not the arrays."""
    write_plots(read_results(finished))
    shutil.copytree(finished / "figures", copy / "figures", dirs_exist_ok=True)
    for path in (copy / "cells").glob("*.npz"):
        path.unlink()
    (line,) = write_plots(read_results(copy))
    assert line.startswith(f"left {copy / 'figures' / 'masks.png'} as it is")
    assert "figures/masks.png" in (copy / "README.md").read_text()


def test_the_page_shows_all_of_it(finished: Path) -> None:
    page = (finished / "README.md").read_text()
    assert "4 of 4 cells ended well" in page
    assert "### Quality" in page
    assert "figures/masks.png" in page
    grid = json.loads((finished / "grid.json").read_text())
    assert len(grid["experiments"][0]["cells"]) == 4


def test_layers_that_differ_in_an_option_have_labels_of_their_own(copy: Path) -> None:
    add_layer(copy, kernel_size=3)
    labels = set(load_frame(copy)["layer"])
    assert labels == {"transposed_conv kernel_size=4", "transposed_conv kernel_size=3", "pixel_dcl"}
    palette = choose_palette(labels)
    assert palette.colour("transposed_conv kernel_size=3") == palette.colour("transposed_conv kernel_size=4")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["./my_layer.py:MyLayer"], {"MyLayer"}),
        (["./my_layer.py:MyLayer", "my_package.layers:Other"], {"MyLayer", "Other"}),
        (
            ["./my_layer.py:MyLayer", "my_package.layers:MyLayer"],
            {"./my_layer.py:MyLayer", "my_package.layers:MyLayer"},
        ),
        (["./mine.py:carafe"], {"./mine.py:carafe"}),
    ],
)
def test_a_layer_of_the_users_own_goes_by_its_last_part(names: list[str], labels: set[str], copy: Path) -> None:
    """Unless two would share it, or a reader would take it for a registered one."""
    for name in names:
        add_layer(copy, name=name)
    results = read_results(copy)
    frame = to_frame(results.grid, results.records)
    assert set(frame["layer"]) == {"transposed_conv", "pixel_dcl", *labels}
    (summary,) = summarise(frame, [SPEC])
    assert set(summary.entries) == {"transposed_conv", "pixel_dcl", *labels}


def add_layer(root: Path, **layer: object) -> None:
    """Add a cell to the grid of a results folder, which has its first cell's settings but for these of the layer."""
    grid = json.loads((root / "grid.json").read_text())
    cells = grid["experiments"][0]["cells"]
    cells.append({**cells[0], "layer": {**cells[0]["layer"], **layer}})
    (root / "grid.json").write_text(json.dumps(grid))


def test_a_metric_of_the_users_own_goes_by_its_last_part() -> None:
    names = ["seg../my_metric.py:MY_METRIC", "seg.val_./my_metric.py:MY_METRIC", "seg.iou[a.b: c]", "seg.mean_iou"]
    labels = label_columns([*names, "voc.my_package.metrics:OTHER[sea]"])
    assert list(labels.values()) == [
        "seg MY_METRIC",
        "seg val_MY_METRIC",
        "seg iou[a.b: c]",
        "seg mean_iou",
        "voc OTHER[sea]",
    ]
    same = ["a../one.py:M", "a../two.py:M"]
    assert list(label_columns(same).values()) == ["a ./one.py:M", "a ./two.py:M"]


def test_the_header_of_a_metric_of_the_users_own_is_its_last_part() -> None:
    rows = {"transposed_conv": [2.0, 4.0, 3.1], "pixel_dcl": [1.0, 3.1, 2.0]}
    frame = simulated(rows).replace({"metric": {"m": "./my_metric.py:MINE"}})
    (summary,) = summarise(frame, [TABLE.model_copy(update={"columns": ["e../my_metric.py:MINE"]})])
    assert "| layer | e MINE ↓ |" in table_to_markdown(summary)
    assert "e../my_metric.py:MINE" in table_to_csv(summary)


def test_what_is_in_memory_is_not_read_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Counter[str] = Counter()
    read_bytes = Path.read_bytes

    def count(path: Path) -> bytes:
        opened[path.name] += 1
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", count)
    results = read_results(copy)
    write_tables(results)
    write_plots(results)
    assert opened["grid.json"] == 1
    assert {opened[f"{cell_id}.json"] for cell_id in results.grid.cells} == {1}


def test_arrays_that_are_damaged_are_named(copy: Path) -> None:
    for path in (copy / "cells").glob("*[0-9a-f].npz"):
        path.write_bytes(b"PK not an archive")
    with pytest.raises(UserError, match=r"npz is damaged .*; delete \w+\.json beside it and run the grid again"):
        write_plots(read_results(copy))


def test_the_index_shows_each_run_and_what_others_published(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    write_plots(read_results(tmp_path / "tiny"))
    index = write_index(tmp_path).read_text()
    page = (tmp_path / "tiny" / "README.md").read_text()
    assert index.endswith("#" + page.replace("figures/masks.png", "tiny/figures/masks.png"))
    with pytest.raises(UserError, match="holds no results folder"):
        write_index(tmp_path / "tiny" / "cells")
