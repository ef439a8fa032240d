"""Fashion-MNIST, for generation."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from upbench.data.image_set import VAL_SHARE, ImageSet, Sample, divide
from upbench.data.refusals import describe_damaged

HEADER = struct.Struct(">4i")  # magic, count, rows, columns
MAGIC = 0x803  # unsigned bytes, three dimensions
MARGIN = 2  # black pixels on each side of the 28, as is usual: 32 can be halved five times
TRAIN_FILE = "train-images-idx3-ubyte*"  # gzipped or not
TEST_FILE = "t10k-images-idx3-ubyte*"


@dataclass(frozen=True, kw_only=True)
class FashionMnist(ImageSet):
    """Fashion-MNIST, 70,000 grey pictures of 28 x 28 pixels without masks, for generation.

    Layout: fashion-mnist/ with {train,t10k}-images-idx3-ubyte, gzipped or not. Source: Xiao et al., arXiv 1708.07747.
    Licence: MIT.

    A margin makes them 32 x 32, one channel. Test: t10k. Val: a tenth of train, chosen by hash.

    Attributes:
        size: side of the squares that images, with their margin, are resized to, in pixels, at least 1. Default: 32.
        limit: the most samples of each split, 0 for all. Default: 0.
    """

    size: int = 32

    name: ClassVar[str] = "fashion_mnist"
    places: ClassVar[tuple[str, ...]] = (
        "fashion-mnist", "fashion-mnist/data/fashion", "fashion_mnist", "FashionMNIST/raw", "",
    )  # fmt: skip
    channels: ClassVar[int] = 1

    def required_files(self) -> tuple[str, ...]:
        """The two files of pictures."""
        return TRAIN_FILE, TEST_FILE

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The pictures of both files, which are small enough to be held in memory."""
        train = _read_pictures(min(home.glob(TRAIN_FILE)))
        test = _read_pictures(min(home.glob(TEST_FILE)))
        splits = divide(train, val=VAL_SHARE)
        splits["test"] = test
        return splits

    def read_image(self, sample: Sample) -> Image.Image:
        """The picture with its margin."""
        return Image.fromarray(np.pad(sample.image, MARGIN))


def _read_pictures(path: Path) -> list[Sample]:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        magic, *shape = HEADER.unpack_from(content)
        if magic != MAGIC:
            raise ValueError(f"it begins with {magic:#x} and not with {MAGIC:#x}")
        pixels = np.frombuffer(content, np.uint8, offset=HEADER.size)
        pictures = pixels.reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise describe_damaged(path, error) from None
    # zipped or not, a picture has the same name, and with it the same split
    stem = path.name.removesuffix(".gz")
    samples = []
    for index, picture in enumerate(pictures):
        sample = Sample(f"{stem}:{index}", picture)
        samples.append(sample)
    return samples
