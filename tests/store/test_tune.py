"""Tuned settings: trials first, then each cell at its own best; from stored records alone."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from upbench.cell import Cell
from upbench.errors import UserError
from upbench.grid.load import load_grid
from upbench.grid.select import select
from upbench.grid.spec import FigureSpec, TableSpec
from upbench.grid.types import Choice, Grid
from upbench.measurement import Measurement
from upbench.report.figures import draw
from upbench.report.frame import to_frame
from upbench.report.markdown import table_to_markdown
from upbench.report.selection import Material, gather_material
from upbench.report.summary import summarise
from upbench.run.executor import Batch, Ended, Terms
from upbench.run.progress import Progress
from upbench.run.runner import execute, plan
from upbench.store.provenance import fingerprint
from upbench.store.record import Record
from upbench.store.results import Records, read_results
from upbench.store.store import Store
from upbench.store.tune import choose, close_choices

from tests.conftest import TINY, Command
from tests.run.test_run import records, start, wait_for

TUNE = """
[experiments.tune]
seeds = [7, 8]
metric = "val_mean_iou"
[experiments.tune.axes]
"task.learning_rate" = [1e-3, 2e-3, 4e-3]
"""
TUNED = TINY.replace("[[tables]]", TUNE + "[[tables]]", 1)
BEST = {"transposed_conv": 2e-3, "pixel_dcl": 4e-3}


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    return load(tmp_path, TUNED)


def load(tmp_path: Path, text: str) -> Grid:
    path = tmp_path / "tuned.toml"
    path.write_text(text)
    return load_grid(path)


def ended(cell: Cell, value: float | None, metric: str = "val_mean_iou", better: str = "higher") -> Record:
    """What a cell leaves that reached `value`, or that diverged."""
    measured = [] if value is None else [
        Measurement(metric=name, value=value, unit="1", better=better, varies="seed")
        for name in (metric, "mean_iou", "boundary_iou")
    ]  # fmt: skip
    return Record(
        id=cell.id, cell=cell.to_json(), outcome="diverged" if value is None else "ok", duration=1.0,
        fingerprint=fingerprint(cell), measurements=measured, environment={}, raw={"loss": [3.0, 2.0, 1.0 + cell.seed]},
    )  # fmt: skip


def score(cell: Cell) -> float:
    """Best at the layer's learning rate in BEST, by the mean of seeds that differ."""
    return 0.5 - abs(cell.task.options["learning_rate"] - BEST[cell.layer.name]) + 1e-4 * cell.seed


def store_trials(grid: Grid, root: Path, *, count: int | None = None) -> Store:
    store = Store(root)
    store.cells.mkdir(parents=True)
    store.write_grid(grid)
    for cell in list(grid.cells.values())[:count]:
        store.write(ended(cell, score(cell)))
    return store


def frame_of(store: Store) -> pd.DataFrame:
    results = read_results(store.root)
    return to_frame(results.grid, results.records)


def material_of(store: Store) -> Material:
    return gather_material(frame_of(store), read_results(store.root))


def test_trials_are_an_experiment_and_the_rest_is_open(grid: Grid) -> None:
    trials, coast = grid.experiments
    assert (trials.name, coast.name) == ("coast-tune", "coast")
    found = {(c.layer.name, c.task.options["learning_rate"], c.seed) for c in trials.cells}
    assert found == {(layer, rate, seed) for layer in BEST for rate in (1e-3, 2e-3, 4e-3) for seed in (7, 8)}
    assert len(trials.cells) == 2 * 3 * 2
    assert (len(coast.cells), len(coast.choices)) == (0, 2 * 2)
    assert Grid.from_json(grid.to_json()) == grid


def test_each_layer_takes_its_own_best(grid: Grid, tmp_path: Path) -> None:
    store = store_trials(grid, tmp_path / "out")
    closed = read_results(store.root).grid
    chosen = {(c.layer.name, c.seed): c.task.options["learning_rate"] for c in closed.experiments[1].cells}
    assert chosen == {(layer, seed): rate for layer, rate in BEST.items() for seed in (0, 1)}
    assert not closed.choices


@pytest.mark.parametrize("count", [0, 1, 6, 11, 12])
def test_a_run_broken_off_anywhere_knows_what_is_left(grid: Grid, tmp_path: Path, count: int) -> None:
    """Trials are stored layer by layer, six a layer."""
    store = store_trials(grid, tmp_path / "out", count=count)
    planned = plan(grid, Records(store), retry=False)
    decided = 2 * (count // 6)
    assert len(planned.kept) == count
    assert len(planned.todo) == 12 - count + decided
    assert len(planned.waiting.choices) == 4 - decided
    frame = frame_of(store).drop_duplicates(["experiment", "cell"])
    assert (frame["experiment"].value_counts()["coast"], len(frame)) == (4, 16), "open cells are rows, not gaps"
    assert (frame["reason"] == "its trials have not ended").sum() == 4 - decided


def test_a_stale_trial_opens_its_cells_again(grid: Grid, tmp_path: Path) -> None:
    store = store_trials(grid, tmp_path / "out")
    victim = next(cell for cell in grid.cells.values() if cell.layer.name == "pixel_dcl")
    store.write(ended(victim, 0.1).model_copy(update={"fingerprint": "of older source"}))
    planned = plan(grid, Records(store), retry=False)
    assert victim in planned.todo
    assert {c.candidates[0].layer.name for c in planned.waiting.choices} == {"pixel_dcl"}


def test_a_condition_on_open_cells_brings_their_trials(grid: Grid) -> None:
    part = select(grid, ["layer=pixel_dcl", "seed=1"])
    assert [choice.candidates[0].seed for choice in part.choices] == [1]
    assert sorted({cell.seed for cell in part.cells.values()}) == [7, 8]
    assert {cell.layer.name for cell in part.cells.values()} == {"pixel_dcl"}
    assert not select(grid, ["experiment=coast-tune"]).choices
    with pytest.raises(UserError, match="no cell meets"):
        select(grid, ["experiment=coast", "task.learning_rate=0.001"])


@given(
    st.lists(st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=2, max_size=2), min_size=1, max_size=5),
    st.sampled_from(["higher", "lower"]),
)
def test_the_decision_is_its_definition(values: list[list[int | None]], better: str) -> None:
    """Fewest trials lost, then the best mean, then the first."""
    base = Cell.from_json({key: {"name": "x"} for key in ("task", "model", "layer")} | {"data": None})
    candidates = tuple(replace(base, threads=index + 1) for index in range(len(values)))
    runs = [[replace(cell, seed=seed) for seed in (1, 2)] for cell in candidates]
    choice = Choice(candidates, tuple(tuple(cell.id for cell in cells) for cells in runs))
    known = {
        cell.id: Record(
            id=cell.id, cell={}, outcome="failed" if value is None else "ok", duration=1, fingerprint="",
            environment={}, measurements=[] if value is None else [
                Measurement(metric="m", value=value, unit="", better=better, varies="seed")
            ],
        )
        for cells, row in zip(runs, values, strict=True) for cell, value in zip(cells, row, strict=True)
    }  # fmt: skip
    won = candidates.index(choose(choice, "m", known.get))
    sign = 1 if better == "higher" else -1

    def worth(index: int) -> tuple[int, float]:
        kept = [sign * value for value in values[index] if value is not None]
        return len(kept), sum(kept) / len(kept) if kept else 0

    assert worth(won) == max(map(worth, range(len(values))))
    assert all(worth(index) < worth(won) for index in range(won))
    known.pop(runs[0][0].id)
    assert choose(choice, "m", known.get) is None


def test_data_without_validation_cannot_tune(grid: Grid) -> None:
    known = {cell.id: ended(cell, 0.5, metric="other") for cell in grid.cells.values()}
    with pytest.raises(UserError, match="has no 'val_mean_iou'"):
        close_choices(grid, known.get)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [7, 8]", "seeds = [1, 8]", r"none of them reported: \[0, 1\]"),
        ("seeds = [7, 8]", "seeds = []", "must be some"),
        ('metric = "val_mean_iou"', 'metric = "val_mean"', "unknown metric 'val_mean'.*did you mean 'val_mean_iou'"),
        ('metric = "val_mean_iou"', 'metrik = "val_mean_iou"', "unknown key 'metrik'.*did you mean 'metric'"),
        ('"task.learning_rate" =', '"task.learning_rat" =', "unknown option 'learning_rat'"),
        ("[1e-3, 2e-3, 4e-3]", "[]", "axis 'task.learning_rate' has no values"),
        ("[1e-3, 2e-3, 4e-3]", "[1e-3, -1.0]", "learning_rate must be above 0"),
        ('"task.learning_rate" =', "seed =", "'seed' cannot be tuned"),
        (
            "[[tables]]",
            '[[experiments]]\nname = "coast-tune"\n[experiments.settings]\ntask = "speed"\nmodel = "unet"\n[[tables]]',
            "two experiments are named 'coast-tune'",
        ),
    ],
)
def test_what_is_wrong_with_tuning_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TUNED
    with pytest.raises(UserError, match=message):
        load(tmp_path, TUNED.replace(old, new, 1))


def test_the_table_says_what_each_layer_took(grid: Grid, tmp_path: Path) -> None:
    store = store_trials(grid, tmp_path / "out")
    for cell in read_results(store.root).grid.cells.values():
        store.write(ended(cell, score(cell)))
    spec = TableSpec(name="t", title="t", columns=["coast.mean_iou"])
    text = table_to_markdown(summarise(frame_of(store), [spec])[0])
    assert "coast, each row at its own best of a sweep at other seeds: " in text
    assert "learning rate 0.002 for transposed_conv; 0.004 for pixel_dcl." in text
    by_rate = TableSpec(name="u", title="u", rows=["layer", "task.learning_rate"], columns=["coast-tune.val_mean_iou"])
    text = table_to_markdown(summarise(frame_of(store), [by_rate])[0])
    assert "pixel_dcl learning_rate=0.004" in text
    assert "own best" not in text


def test_the_sweep_and_the_learning_curves_are_drawn(grid: Grid, tmp_path: Path) -> None:
    store = store_trials(grid, tmp_path / "out")
    diverged = next(c for c in grid.cells.values() if c.task.options["learning_rate"] == 4e-3)
    store.write(ended(diverged, None))
    sweep = FigureSpec(name="f", title="f", kind="sweep", x="task.learning_rate", y="coast-tune.val_mean_iou")
    (axes,) = draw(sweep, material_of(store)).axes
    assert axes.get_xscale() == "log"
    drawn = {bars.get_label(): bars.lines[0].get_xydata().tolist() for bars in axes.containers}
    rates = {layer: [x for x, _ in points] for layer, points in drawn.items()}
    assert rates == {"transposed_conv": [1e-3, 2e-3], "pixel_dcl": [1e-3, 2e-3, 4e-3]}, "no mean of fewer seeds"
    assert drawn["pixel_dcl"][2][1] == pytest.approx(0.5 + 7.5e-4)
    panels = draw(FigureSpec(name="f", title="f", kind="curves", experiment="coast-tune"), material_of(store)).axes
    assert [axes.get_title() for axes in panels] == [f"learning_rate {rate}" for rate in (0.001, 0.002, 0.004)]
    lines = {line.get_label(): line.get_ydata().tolist() for line in panels[0].get_lines()}
    assert lines == {layer: [3.0, 2.0, 8.5] for layer in BEST}, "the mean of both seeds"
    closed = [ended(cell, 0.5) for cell in read_results(store.root).grid.experiments[1].cells]
    for record in closed:
        store.write(record)
    figure = draw(FigureSpec(name="f", title="f", kind="curves", experiment="coast"), material_of(store))
    assert len(figure.axes) == 1, "what each layer took is no axis"


@pytest.mark.parametrize("stop", [3, 12, 14])
def test_a_run_does_the_trials_then_what_they_decide_and_nothing_twice(grid: Grid, tmp_path: Path, stop: int) -> None:
    """Broken off after `stop` cells, and begun again; no cell is really run."""
    ran: list[Cell] = []

    class Pretender:
        """An executor that gives each cell its score."""

        def run(self, batches: Sequence[Batch], terms: Terms) -> Generator[Ended]:
            for cell in (cell for batch in batches for cell in batch.cells):
                if len(ran) == stop and not broken:
                    broken.append(True)
                    raise KeyboardInterrupt
                ran.append(cell)
                measured = [asdict(measurement) for measurement in ended(cell, score(cell)).measurements]
                yield Ended(cell, {"outcome": "ok", "measurements": measured}, 1.0)

    broken: list[bool] = []
    store = Store(tmp_path / "out")

    def run() -> list[Record]:
        with store.opened():
            store.write_grid(grid)
            known, terms = Records(store), Terms(store.scratch, None, 1.0)
            planned = plan(grid, known, retry=False)
            return execute(planned, known, Pretender(), terms, workers=1, progress=Progress(Console(quiet=True)))

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(run()) == 16 - stop
    assert len({cell.id for cell in ran}) == len(ran) == 12 + 4
    assert {(c.layer.name, c.task.options["learning_rate"]) for c in ran[12:]} == set(BEST.items())
    assert run() == []


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_ends(tmp_path: Path, upbench: Command) -> None:
    text = TUNED.replace("seeds = [7, 8]", "seeds = [7]").replace("[1e-3, 2e-3, 4e-3]", "[1e-9, 1e-2]")
    text = text.replace('layer = ["transposed_conv", "pixel_dcl"]', 'layer = ["pixel_dcl"]')
    text = text.replace("seed = [0, 1]", "seed = [0]").replace("keep_seeds = [1]", "keep_seeds = [0]")
    (tmp_path / "tuned.toml").write_text(text)
    dry = upbench("run", "tuned.toml", "--out", "out", "--dry-run").stdout
    assert "2 cells to run, 0 already there, 1 more once their trials have ended" in dry
    out = tmp_path / "out"
    driver = start(tmp_path, "run", "tuned.toml", "--out", out, "--workers", 1)
    wait_for(lambda: list((out / "cells").glob("*.json")))
    driver.kill()
    driver.communicate()
    first = records(out)
    done = upbench("run", "tuned.toml", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    after = records(out)
    assert {name: after[name] for name in first} == first
    assert len(after) == 3
    assert "0 cells to run, 3 already there" in upbench("run", "tuned.toml", "--out", out, "--dry-run").stdout
    assert "own best" in (out / "tables" / "quality.md").read_text()
