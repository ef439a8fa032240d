"""CIFAR-10 from its binary version, for generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from bench.data.files import VAL_SHARE, ImageSet, Listing, Sample, divide
from bench.errors import UserError

SIDE, CLASSES = 32, 10
RECORD = 1 + 3 * SIDE * SIDE  # a label, then the red, green and blue planes


@dataclass(frozen=True, kw_only=True)
class Cifar10(ImageSet):
    """CIFAR-10, 60,000 pictures of 32 x 32, no masks. Layout: cifar-10-batches-bin/ with data_batch_{1..5}.bin and
    test_batch.bin, the "binary version". Krizhevsky, 2009; no licence is stated.

    Test: the test batch. Val: a tenth of the others, chosen by hash. The Python version holds pickles, which run
    whatever is in them when they are read; it is not.
    """

    size: int = SIDE

    name: ClassVar[str] = "cifar10"
    places: ClassVar[tuple[str, ...]] = ("cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "")
    hint: ClassVar[str] = "only the binary version is read, because the Python version (cifar-10-batches-py) is pickled"

    def needs(self) -> tuple[str, ...]:
        return (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")

    def listing(self, home: Path) -> Listing:
        batches = [_records(home / name) for name in self.needs()]
        train = [sample for batch in batches[:-1] for sample in batch]
        return Listing({**divide(train, val=VAL_SHARE), "test": batches[-1]})

    def image(self, sample: Sample) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(sample.image.reshape(3, SIDE, SIDE).transpose(1, 2, 0)))


def _records(path: Path) -> list[Sample]:
    content = np.fromfile(path, np.uint8)
    if len(content) == 0 or len(content) % RECORD:
        raise UserError(f"data file {path} is damaged: {len(content)} bytes are no multiple of {RECORD}")
    records = content.reshape(-1, RECORD)
    if (highest := records[:, 0].max()) >= CLASSES:
        raise UserError(f"data file {path} is damaged: label {highest}, allowed: 0 to {CLASSES - 1}")
    return [Sample(f"{path.name}:{index}", record[1:]) for index, record in enumerate(records)]
