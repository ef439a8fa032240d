"""The default data: what a tile is, and that no test tile shares a pixel with a training tile."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from upbench.data import earth
from upbench.data.earth import Earth


@pytest.fixture(scope="module")
def planet():
    return earth.read_planet()


@pytest.mark.parametrize("tiles", ["coast", "land"])
@pytest.mark.parametrize("size", [64, 256])
def test_no_pixel_is_in_two_splits(tiles: str, size: int, planet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pixel is replaced by its own coordinates, so that tiles tell where they come from."""
    mask = planet[1]
    rows, columns = np.indices(mask.shape)
    numbered = np.stack([rows // 256, rows % 256, columns // 256, columns % 256], -1).astype(np.uint8)
    keep = {"coast": earth._is_coast, "land": lambda image, mask: (mask == earth.LAND).mean() > 0.5}[tiles]
    monkeypatch.setattr(earth, "read_planet", lambda: (numbered, mask))
    monkeypatch.setattr(earth, f"_is_{tiles}", keep)
    data = Earth(tiles=tiles, size=size).load()
    used = {}
    for name in ("train", "val", "test"):
        high_row, low_row, high_column, low_column = np.moveaxis(getattr(data, name).images.astype(np.int32), -1, 0)
        used[name] = np.zeros(mask.shape, bool)
        used[name][high_row * 256 + low_row, high_column * 256 + low_column] = True
        assert used[name].any(), name
    for one, other in itertools.combinations(used, 2):
        assert not (used[one] & used[other]).any(), (one, other)


def test_coast_tiles_have_land_and_ocean_and_all_three_classes() -> None:
    data = Earth().load()
    for split in (data.train, data.val, data.test):
        land = (split.masks == earth.LAND).mean((1, 2))
        assert land.min() >= 0.05
        assert land.max() <= 0.95
        assert set(np.unique(split.masks)) == {0, 1, 2}
        assert split.images.dtype == split.masks.dtype == np.uint8
    assert data.class_names == ("ocean", "land", "lake")


def test_picture_and_mask_are_registered(planet) -> None:
    """Blue pixels and the ocean mask overlap best where neither is shifted."""
    picture, mask = planet
    blue, ocean = picture[..., 2].astype(int) > picture[..., 0].astype(int) + 10, mask == 0

    def overlap(shift: int, axis: int) -> float:
        moved = np.roll(ocean, shift, axis)
        return np.count_nonzero(blue & moved) / np.count_nonzero(blue | moved)

    for axis in (0, 1):
        assert max((-3, -2, -1, 0, 1, 2, 3), key=lambda shift: overlap(shift, axis)) == 0


def test_loading_twice_gives_the_same_data() -> None:
    assert Earth(tiles="land").load().identity() == Earth(tiles="land").load().identity()


@pytest.mark.parametrize("size", [0, 16, 65, 2048])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        Earth(size=size)
