"""The suite's own format, and refusals that name the file and the array."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from upbench.data import DATA
from upbench.data.base import DataShape
from upbench.data.npz import Npz
from upbench.errors import UserError


def arrays(**changes: object) -> dict[str, object]:
    rng = np.random.default_rng(0)
    made: dict[str, object] = {"class_names": np.array(["a", "b"])}
    for name, count in (("train", 4), ("val", 2), ("test", 3)):
        made[f"{name}_images"] = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
        made[f"{name}_masks"] = rng.choice(np.array([0, 1, 255], np.uint8), (count, 16, 16))
    return {key: value for key, value in {**made, **changes}.items() if value is not None}


def load(folder: Path, **changes: object):
    np.savez(folder / "data.npz", **arrays(**changes))
    return Npz(file="data.npz").load(folder)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    data = load(tmp_path)
    saved = arrays()
    for name in ("train", "val", "test"):
        assert np.array_equal(getattr(data, name).images, saved[f"{name}_images"])
        assert np.array_equal(getattr(data, name).masks, saved[f"{name}_masks"])
    assert data.class_names == ("a", "b")


def test_masks_and_val_may_be_absent(tmp_path: Path) -> None:
    nothing = {f"{name}_masks": None for name in ("train", "val", "test")}
    data = load(tmp_path, val_images=None, **nothing)
    assert data.train.masks is None
    assert len(data.val.images) == 0


def test_what_has_no_val_can_hold_a_share_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays(val_images=None, val_masks=None))
    saved, data = arrays(), Npz(file="data.npz", hold_out=2).load(tmp_path)
    assert np.array_equal(data.val.images, saved["train_images"][[1, 3]])
    assert np.array_equal(data.val.masks, saved["train_masks"][[1, 3]])
    assert np.array_equal(data.train.images, saved["train_images"][[0, 2]])
    np.savez(tmp_path / "data.npz", **arrays())
    assert len(Npz(file="data.npz", hold_out=2).load(tmp_path).train.images) == 4, "its own val is taken"
    with pytest.raises(UserError, match="hold_out must be 0 or at least 2, got 1"):
        Npz(file="data.npz", hold_out=1).check(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": None}, "train_images must be uint8"),
        ({"test_images": np.zeros((3, 16, 16, 3))}, "test_images must be uint8"),
        ({"train_images": np.zeros((0, 16, 16, 3), np.uint8)}, "with N > 0"),
        ({"test_masks": np.zeros((3, 8, 8), np.uint8)}, "test_masks must be uint8"),
        ({"test_masks": np.full((3, 16, 16), 2, np.uint8)}, "label 2, but class_names names 2"),
        ({"class_names": np.array([object()])}, "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path, **changes)
    assert "data.npz" in str(caught.value)
    if "label" in message:  # only the pixels tell
        return
    with pytest.raises(UserError) as from_shape:
        Npz(file="data.npz").shape(tmp_path)
    assert str(from_shape.value) == str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_shape_is_read_from_the_headers(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "data.npz", **arrays())
    assert Npz(file="data.npz").shape(tmp_path) == DataShape(height=16, width=16, channels=3, classes=2)


def test_no_pixel_is_read_for_the_shape(tmp_path: Path) -> None:
    images = np.full((4, 64, 64, 3), 7, np.uint8)  # more than a zip file reads ahead
    load(tmp_path, train_images=images, train_masks=None)
    path = tmp_path / "data.npz"
    content = bytearray(path.read_bytes())
    content[content.index(images.tobytes()) + images.size - 1] = 8
    path.write_bytes(content)
    data = Npz(file="data.npz")
    with pytest.raises(UserError, match="Bad CRC"):
        data.load(tmp_path)
    assert data.shape(tmp_path) == DataShape(height=64, width=64, channels=3, classes=0)


def test_without_masks_the_shape_has_no_classes(tmp_path: Path) -> None:
    load(tmp_path, train_masks=None, val_masks=None, test_masks=None)
    assert Npz(file="data.npz").shape(tmp_path) == DataShape(height=16, width=16, channels=3, classes=0)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    load(tmp_path)
    path = tmp_path / "data.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"data\.npz cannot be read"):
        Npz(file="data.npz").load(tmp_path)


@pytest.mark.parametrize(
    ("file", "counts", "classes"), [("nuclei_128.npz", (456, 105, 103), 3), ("camvid_120x160.npz", (367, 101, 233), 11)]
)
def test_real_files_load(shared: Path, file: str, counts: tuple[int, ...], classes: int) -> None:
    data = DATA.build("npz", file=file).load(shared)
    assert tuple(len(split.images) for split in (data.train, data.val, data.test)) == counts
    assert len(data.class_names) == classes
