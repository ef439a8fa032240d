"""What is kept of a cell gives its figures again, to the bit, and others that the run did not ask for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner
from upbench.cell import Cell, Spec
from upbench.cli.app import app
from upbench.data import DATA
from upbench.errors import UserError
from upbench.grid.types import Grid
from upbench.layers import LAYERS
from upbench.models import MODELS
from upbench.run import worker
from upbench.run.recompute import recompute
from upbench.run.runner import plan
from upbench.store.kept import read_kept
from upbench.store.record import Record
from upbench.store.results import Records, Results, read_results
from upbench.store.store import Store
from upbench.tasks import TASKS

from tests.conftest import Command

GRID = Grid("t", 1.0, (), (), (), ())
SAMPLED = ["kid_effnet", "precision_effnet", "checkerboard", "lattice_energy", "reconstruction_psnr"]


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Store:
    return Store(Path(shutil.copytree(finished, tmp_path / "copy")))


def some_cell(store: Store, seed: int) -> str:
    return next(cell_id for cell_id, cell in store.read_grid().cells.items() if cell.seed == seed)


def values(measurements) -> dict[str, float]:
    return {measurement.metric: measurement.value for measurement in measurements}


def stored(store: Store, cell_id: str) -> Record:
    record = store.read(cell_id)
    assert record is not None
    return record


def said(*words: object) -> tuple[int, str]:
    """Status and output of the command, without a process; a refusal is raised."""
    result = CliRunner().invoke(app, ["recompute", *map(str, words)], env={"COLUMNS": "100"})
    if isinstance(result.exception, UserError):
        raise result.exception
    return result.exit_code, result.output


def test_the_seeds_that_the_grid_names_are_kept_and_no_others(finished: Path) -> None:
    store = Store(finished)
    for cell_id, cell in store.read_grid().cells.items():
        assert store.kept(cell_id).exists() == (cell.seed == 1)


def test_masks_give_the_stored_figures_to_the_last_bit(finished: Path) -> None:
    cell_id = some_cell(Store(finished), 1)
    figures = values(stored(Store(finished), cell_id).measurements)
    assert "val_mean_iou" in figures
    assert values(recompute(read_results(finished), cell_id)) == figures


def test_samples_and_reconstructions_do_so_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.cells.mkdir()
    cell = Cell(
        Spec("generation", TASKS.complete("generation", {"steps": 2, "batch": 2, "samples": 8, "metrics": SAMPLED})),
        Spec("vae", MODELS.complete("vae", {"channels": 2})),
        Spec("pixel_dcl", LAYERS.complete("pixel_dcl", {})),
        Spec("earth", DATA.complete("earth", {"tiles": "land", "size": 32})),
        seed=5,
    )
    result = worker.attempt(cell, None, tmp_path, True)
    assert result["outcome"] == "ok", result
    fields = {"fingerprint": "", "environment": {}, "duration": 1.0}
    store.write(Record(id=cell.id, cell=cell.to_json(), **fields, **result), kept=tmp_path / worker.KEPT)
    figures = values(stored(store, cell.id).measurements)
    wanted = {"lattice_energy[pi,0]", "lattice_energy[pi/2,pi/2]", "val_reconstruction_psnr", *SAMPLED}
    assert wanted - {"lattice_energy"} <= set(figures)
    assert values(recompute(Results(tmp_path, GRID, {cell.id: stored(store, cell.id)}), cell.id)) == figures


def test_the_command_says_so(finished: Path, upbench: Command) -> None:
    done = upbench("recompute", finished)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 values, 0 differ from what is stored" in done.stdout
    assert done.stdout.count("boundary_iou") == 2


def test_figures_that_the_run_did_not_ask_for(finished: Path) -> None:
    status, output = said(finished, "--metric", "iou", "--metric", "mean_iou", "--metric", "kid_effnet")
    assert status == 0
    store = Store(finished)
    cell_id = some_cell(store, 1)
    parts = values(recompute(read_results(finished), cell_id, ["iou"]))
    assert set(parts) <= {"iou[ocean]", "iou[land]", "iou[lake]"}
    assert np.mean(list(parts.values())) == values(stored(store, cell_id).measurements)["mean_iou"]
    for name, value in parts.items():
        assert [name, "-", repr(value)] in [line.split() for line in output.splitlines()], "not stored, but computed"
    assert "kid" not in output, "there are no samples"


def test_what_differs_is_named(copy: Store) -> None:
    cell_id = some_cell(copy, 1)
    record = json.loads(copy.path(cell_id).read_text())
    assert record["measurements"][0]["metric"] == "mean_iou"
    record["measurements"][0]["value"] += 1e-15
    copy.path(cell_id).write_text(json.dumps(record))
    status, output = said(copy.root)
    assert status == 1
    assert [line.split()[0] for line in output.splitlines() if line.rstrip().endswith("differs")] == ["mean_iou"]
    assert "8 values, 1 differ" in output


def test_whether_a_cell_is_kept_makes_nothing_stale(copy: Store) -> None:
    for path in copy.cells.glob("*.kept.npz"):
        path.unlink()
    assert plan(copy.read_grid(), Records(copy), retry=False).todo == ()


def test_what_cannot_be_recomputed_is_said_in_one_line(copy: Store, tmp_path: Path) -> None:
    for words, message in (
        ((copy.root, "--metric", "mean_uoi"), "did you mean 'mean_iou'"),
        ((copy.root, "--metric", "kid_effnet"), "no kept cell .* has what metric kid_effnet compares"),
        ((tmp_path,), "is not a results folder"),
    ):
        with pytest.raises(UserError, match=message):
            said(*words)
    with pytest.raises(UserError, match="nothing was kept of this cell"):
        recompute(read_results(copy.root), some_cell(copy, 0))
    with pytest.raises(UserError, match="the cell has no result"):
        recompute(read_results(copy.root), "0" * 16)
    for path in copy.cells.glob("*.kept.npz"):
        path.unlink()
    with pytest.raises(UserError, match="keeps no predictions or samples"):
        said(copy.root)


@pytest.mark.parametrize("damage", ["cut", "empty", "lacking"])
def test_a_damaged_archive_is_refused_by_name(copy: Store, damage: str) -> None:
    path = copy.kept(some_cell(copy, 1))
    if damage == "lacking":
        np.savez(path, **{"masks.ours": read_kept(path)[0]["masks"][0]})
    else:
        path.write_bytes(path.read_bytes()[: 200 if damage == "cut" else 0])
    with pytest.raises(UserError, match=rf"{path.name} is damaged"):
        said(copy.root)


def test_a_cell_run_again_without_keeping_keeps_nothing_of_before(copy: Store) -> None:
    cell_id = some_cell(copy, 1)
    copy.write(stored(copy, cell_id))
    assert not copy.kept(cell_id).exists()
