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

from bench.data.files import VAL_SHARE, ImageSet, Listing, Sample, divide
from bench.errors import UserError

HEADER = struct.Struct(">4i")  # magic, count, rows, columns
MAGIC = 0x803  # unsigned bytes, three dimensions
MARGIN = 2  # black pixels on each side of the 28, as is usual: 32 can be halved five times


@dataclass(frozen=True, kw_only=True)
class FashionMnist(ImageSet):
    """Fashion-MNIST, 70,000 grey pictures of 28 x 28, no masks. Layout: fashion-mnist/ with
    {train,t10k}-images-idx3-ubyte, gzipped or not. Xiao et al., arXiv 1708.07747; MIT.

    A margin makes them 32 x 32, one channel. Test: t10k. Val: a tenth of train, chosen by hash.
    """

    size: int = 28 + 2 * MARGIN

    name: ClassVar[str] = "fashion_mnist"
    places: ClassVar[tuple[str, ...]] = (
        "fashion-mnist", "fashion-mnist/data/fashion", "fashion_mnist", "FashionMNIST/raw", "",
    )  # fmt: skip
    channels: ClassVar[int] = 1

    def needs(self) -> tuple[str, ...]:
        return "train-images-idx3-ubyte*", "t10k-images-idx3-ubyte*"

    def listing(self, home: Path) -> Listing:
        train, test = (_pictures(min(home.glob(need))) for need in self.needs())
        return Listing({**divide(train, val=VAL_SHARE), "test": test})

    def image(self, sample: Sample) -> Image.Image:
        return Image.fromarray(np.pad(sample.image, MARGIN))


def _pictures(path: Path) -> list[Sample]:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        magic, count, rows, columns = HEADER.unpack_from(content)
        if magic != MAGIC:
            raise ValueError(f"it begins with {magic:#x} and not with {MAGIC:#x}")
        pictures = np.frombuffer(content, np.uint8, offset=HEADER.size).reshape(count, rows, columns)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise UserError(f"data file {path} is damaged: {error}") from None
    stem = path.name.removesuffix(".gz")
    return [Sample(f"{stem}:{index}", picture) for index, picture in enumerate(pictures)]
