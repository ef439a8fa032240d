"""Grids: expansion, identity, refusals."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upbench.cell import Cell, flatten
from upbench.errors import UserError
from upbench.grid.load import load_grid
from upbench.grid.select import select
from upbench.grid.types import Grid
from upbench.report.blocks import check_tables
from upbench.store.provenance import fingerprint

from tests.conftest import ROOT, TINY

HEAD = """
title = "t"
[settings]
task = "speed"
model = "single"
[[experiments]]
name = "e"
"""


def load(tmp_path: Path, text: str) -> Grid:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return load_grid(path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layers=st.lists(st.sampled_from(["pixel_dcl", "ipixel_dcl", "pixel_shuffle"]), min_size=1, unique=True),
    kernels=st.lists(st.sampled_from([3, 5, 7]), min_size=1, unique=True),
    seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=4, unique=True),
)
def test_a_grid_is_the_product_of_its_axes(
    tmp_path: Path, layers: list[str], kernels: list[int], seeds: list[int]
) -> None:
    text = f'{HEAD}[experiments.axes]\nlayer = {layers}\n"layer.kernel_size" = {kernels}\nseed = {seeds}\n'
    cells = list(load(tmp_path, text).cells.values())
    found = [(cell.layer.name, cell.layer.options["kernel_size"], cell.seed) for cell in cells]
    assert found == list(itertools.product(layers, kernels, seeds))
    assert len({cell.id for cell in cells}) == len(cells)
    for cell in cells:
        assert Cell.from_json(cell.to_json()) == cell


def test_exclude_and_include(tmp_path: Path) -> None:
    text = (
        f'{HEAD}exclude = [{{ layer = "pixel_dcl", seed = 1 }}]\n'
        'include = [{ layer = { name = "transposed_conv", kernel_size = 3 }, seed = 7 }]\n'
        '[experiments.axes]\nlayer = ["pixel_dcl", "ipixel_dcl"]\nseed = [0, 1]\n'
    )
    flat = [flatten(cell.to_json()) for cell in load(tmp_path, text).cells.values()]
    assert [(f["layer"], f["seed"]) for f in flat] == [
        ("pixel_dcl", 0), ("ipixel_dcl", 0), ("ipixel_dcl", 1), ("transposed_conv", 7),
    ]  # fmt: skip
    assert flat[-1]["layer.kernel_size"] == 3


def test_a_default_and_the_same_value_spelt_out_are_one_cell(tmp_path: Path) -> None:
    plain = load(tmp_path, f'{HEAD}[experiments.settings]\nlayer = "pixel_dcl"\n')
    spelt = load(tmp_path, f'{HEAD}[experiments.settings]\nlayer = {{ name = "pixel_dcl", kernel_size = 3 }}\n')
    assert list(plain.cells) == list(spelt.cells)


def test_a_grid_survives_its_own_json(tmp_path: Path) -> None:
    grid = load(tmp_path, TINY)
    assert Grid.from_json(grid.to_json()) == grid


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"pixel_dcl"', '"pixel_dlc"', "unknown layer 'pixel_dlc'.*did you mean 'pixel_dcl'"),
        ('name = "unet"', 'name = "unett"', "unknown model 'unett'.*did you mean 'unet'"),
        ('name = "segmentation"', 'name = "segmentatoin"', "unknown task.*did you mean 'segmentation'"),
        ('name = "earth"', 'name = "eart"', "unknown data set 'eart'.*did you mean 'earth'"),
        ("steps = 3", "stesp = 3", "unknown option 'stesp'.*did you mean 'steps'"),
        ("steps = 3", 'steps = "3"', "'steps' = '3'"),
        ("steps = 3", "steps = 0", "steps"),
        ('"pixel_dcl"', '{ name = "pixel_dcl", kernel_size = 4 }', "kernel_size must be odd"),
        ('"pixel_dcl"', '{ name = "pixel_dcl", kernel_size = 1 }', "kernel_size 1 has no tap"),
        ("depth = 2", "depth = 7", "size 32 must be a multiple of 64"),
        ("depth = 2", "depth = 2, dims = 3", "dims = 3 does not fit images of 2 dimensions"),
        ("depth = 2", 'norm = "layer"', "unknown norm 'layer'.*model 'unet'.*allowed: batch"),
        ('{ name = "unet", channels = 2, depth = 2 }', '"dcgan"', "cannot use model 'dcgan'.*'unet', 'deeplab'"),
        ("size = 32", "size = 33", "size must be a multiple of 32"),
        ("seed = [0, 1]", "seed = [0, -1]", "seed = -1"),
        ("seed = [0, 1]", "seed = []", "axis 'seed' has no values"),
        ("[axes]", "[axis]", "unknown key 'axis'.*did you mean 'axes'"),
        ("[experiments.settings]", "[experiments.setings]", "unknown key 'setings'.*did you mean 'settings'"),
        ("[experiments.axes]\n", "[experiments.axes]\nlayr = [1]\n", "unknown setting 'layr'.*did you mean 'layer'"),
        ("[experiments.axes]\n", '[experiments.axes]\ndevice = ["gpu"]\n', "unknown device 'gpu'.*cpu, cuda"),
        ('"coast.mean_iou"', '"coast.mean_io"', "unknown column 'coast.mean_io'.*did you mean 'coast.mean_iou'"),
        ('"coast.mean_iou"', '"coast.iou[land]"', r"unknown column 'coast.iou\[land\]'"),
        ("keep_seeds = [1]", "keep_seeds = [0, 2]", "unknown seed 2.*keep_seeds.*allowed: 0, 1"),
        ('kind = "masks"', 'kind = "maks"', "kind"),
        ('kind = "masks"', 'kind = "tradeoff"', "kind 'tradeoff' needs x and y; x is missing"),
        ('title = "Quality"', 'title = "Quality"\nrows = []', "rows"),
        ("timeout = 120.0", "timeout = 0.0", "timeout"),
        ("timeout = 120.0", "timeout = nan", "timeout"),
        ('["transposed_conv", "pixel_dcl"]', "[3]", "layer = 3 must be a name"),
        ('data = { name = "earth", size = 32 }', 'data = ["earth"]', r"data = \['earth'\] must be a name"),
        ("[experiments.settings]", 'exclude = [{ layer = "pixle" }]\n[experiments.settings]', "'pixle'.*no cell"),
        (
            "[[figures]]",
            '[[tables]]\nname = "quality"\ntitle = "b"\ncolumns = ["coast.mean_iou"]\n[[figures]]',
            "two tables",
        ),
        ('title = "Tiny"', "title = ", "not valid TOML"),
        ('title = "Tiny"', "", "title"),
        ('model = { name = "unet", channels = 2, depth = 2 }', 'model = "vae"', "cannot use model 'vae'"),
        ('data = { name = "earth", size = 32 }', "", "needs the setting 'data'"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TINY
    with pytest.raises(UserError, match=message):
        load(tmp_path, TINY.replace(old, new, 1))


FAMILIES = TINY.replace("batch = 2", 'batch = 2, metrics = ["mean_iou", "boundary_iou", "iou", "trimap_iou"]')


@pytest.mark.parametrize("column", ["coast.iou[land]", "coast.iou[St. Paul's]", "coast.trimap_iou[5]"])
def test_a_member_of_a_family_is_a_column(tmp_path: Path, column: str) -> None:
    load(tmp_path, FAMILIES.replace("coast.mean_iou", column))


@pytest.mark.parametrize(
    "column",
    [
        "coast.iou",
        "coast.iou[*]",
        "coast.iou[land",
        "coast.iou[]",
        "coast.trimap_iou",
        "coast.trimap_iou[4]",
        "tiles.iou[land]",
    ],
)
def test_what_a_family_does_not_measure_is_no_column(tmp_path: Path, column: str) -> None:
    with pytest.raises(UserError, match="unknown column"):
        load(tmp_path, FAMILIES.replace("coast.mean_iou", column))


def test_keeping_is_no_part_of_a_cells_identity(tmp_path: Path) -> None:
    keeping, not_keeping = load(tmp_path, TINY), load(tmp_path, TINY.replace("keep_seeds = [1]", ""))
    assert (keeping.keep_seeds, not_keeping.keep_seeds) == ((1,), ())
    assert keeping.cells == not_keeping.cells
    assert [fingerprint(cell) for cell in keeping.cells.values()] == [
        fingerprint(cell) for cell in not_keeping.cells.values()
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "ablations").glob("*.toml")), ids=lambda path: path.stem)
def test_the_committed_grids_load(path: Path) -> None:
    grid = load_grid(path)
    assert 0 < len(grid.cells) <= sum(len(experiment.cells) for experiment in grid.experiments)
    assert "timeout" in tomllib.loads(path.read_text())
    check_tables(grid)


def test_quick_is_four_layers_two_tasks_three_seeds() -> None:
    grid = load_grid(ROOT / "ablations" / "quick.toml")
    trained = [cell for cell in grid.cells.values() if cell.task.name != "speed"]
    assert len({(cell.task.name, cell.layer.name, cell.seed) for cell in trained}) == 4 * 2 * 3


def test_conditions_select_cells(tmp_path: Path) -> None:
    grid = load(tmp_path, TINY)
    chosen = select(grid, ["layer=pixel_dcl", "seed=1"])
    assert [(cell.layer.name, cell.seed) for cell in chosen.cells.values()] == [("pixel_dcl", 1)]
    for condition, message in (
        ("layer", "KEY=VALUE"),
        ("layr=pixel_dcl", "did you mean 'layer'"),
        ("layer=pixel_dlc", "did you mean 'pixel_dcl'"),
    ):
        with pytest.raises(UserError, match=message):
            select(grid, [condition])


def test_the_fingerprint_follows_what_the_cell_runs(tmp_path: Path) -> None:
    by_layer = {cell.layer.name: fingerprint(cell) for cell in load(tmp_path, TINY).cells.values()}
    assert len(set(by_layer.values())) == 2, "another layer is other source"
    again = {cell.layer.name: fingerprint(cell) for cell in load(tmp_path, TINY).cells.values()}
    assert again == by_layer
