"""Labels tell apart what they name, and say no more than that takes."""

from __future__ import annotations

import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from upbench.cell import Cell, Spec, flatten
from upbench.labels import label_cells, label_columns, label_component, label_components

CELL = Cell(Spec("speed", {"side": 16}), Spec("single"), Spec("pixel_dcl", {"kernel_size": 3}), None)

cells = st.builds(
    lambda layer, kernel_size, side, seed: replace(
        CELL,
        layer=Spec(layer, {"kernel_size": kernel_size}),
        task=Spec("speed", {"side": side}),
        seed=seed,
    ),
    st.sampled_from(["pixel_dcl", "carafe", "./mine.py:Mine", "./other.py:Mine"]),
    st.sampled_from([3, 5]),
    st.sampled_from([16, 64]),
    st.integers(0, 2),
)


@given(st.lists(cells, min_size=1, max_size=12))
def test_different_cells_have_different_labels(made: list[Cell]) -> None:
    by_id = {cell.id: cell for cell in made}
    labels = label_cells(by_id)
    assert set(labels) == set(by_id)
    assert len(set(labels.values())) == len(by_id)


@given(st.lists(cells, min_size=1, max_size=12))
def test_a_setting_is_named_exactly_where_like_cells_differ_in_it(made: list[Cell]) -> None:
    by_id = {cell.id: cell for cell in made}
    flat = {cell_id: flatten(cell.to_json()) for cell_id, cell in by_id.items()}
    for cell_id, label in label_cells(by_id).items():
        for key in ("seed", "task.side", "layer.kernel_size"):
            like = [
                settings[key]
                for settings in flat.values()
                if not key.startswith("layer.") or settings["layer"] == flat[cell_id]["layer"]
            ]
            assert (f"{key}=" in label) == (len(set(like)) > 1)


def test_the_labels_of_many_cells_take_no_longer_each_than_those_of_few() -> None:
    def seconds(count: int) -> float:
        many = {cell.id: cell for cell in (replace(CELL, seed=seed) for seed in range(count))}
        began = time.process_time()
        label_cells(many)
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 40 * max(seconds(800), 0.005), "ten times the cells, not a hundred times the work"


def test_a_users_own_part_goes_by_what_it_is_called() -> None:
    assert label_component("./my_layer.py:MyLayer") == "MyLayer"
    assert label_component("pixel_dcl") == "pixel_dcl"
    two = ["./one.py:Mine", "./two.py:Mine", "./two.py:Other"]
    assert label_components(two) == {two[0]: two[0], two[1]: two[1], two[2]: "Other"}
    assert label_columns(["coast.val_./m.py:MINE[sky]"]) == {"coast.val_./m.py:MINE[sky]": "coast val_MINE[sky]"}
