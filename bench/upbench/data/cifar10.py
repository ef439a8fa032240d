"""CIFAR-10 from its binary version, for generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from upbench.data.image_set import VAL_SHARE, ImageSet, Sample, divide
from upbench.data.refusals import describe_damaged

SIDE = 32
CLASSES = 10
RECORD = 1 + 3 * SIDE * SIDE  # a label, then the red, green and blue planes
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"


@dataclass(frozen=True, kw_only=True)
class Cifar10(ImageSet):
    """CIFAR-10, 60,000 pictures of 32 x 32 pixels without masks, for generation.

    Layout: cifar-10-batches-bin/ with data_batch_{1..5}.bin and test_batch.bin, the "binary version". Source:
    Krizhevsky, 2009. Licence: none is stated.

    Test: the test batch. Val: a tenth of the others, chosen by hash. The Python version is not read: it holds pickles,
    which run whatever is in them when they are read.

    Attributes:
        size: side of the squares that images are resized to, in pixels, at least 1. Default: 32.
        limit: the most samples of each split, 0 for all. Default: 0.
    """

    size: int = 32

    name: ClassVar[str] = "cifar10"
    places: ClassVar[tuple[str, ...]] = ("cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "")
    hint: ClassVar[str] = "only the binary version is read, because the Python version (cifar-10-batches-py) is pickled"

    def required_files(self) -> tuple[str, ...]:
        """The six batches."""
        return (*TRAIN_FILES, TEST_FILE)

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The records of all batches, which are small enough to be held in memory."""
        train = []
        for name in TRAIN_FILES:
            train += _read_records(home / name)
        splits = divide(train, val=VAL_SHARE)
        splits["test"] = _read_records(home / TEST_FILE)
        return splits

    def read_image(self, sample: Sample) -> Image.Image:
        """The picture of a record, whose three planes become the channels of its pixels."""
        planes = sample.image.reshape(3, SIDE, SIDE)
        pixels = planes.transpose(1, 2, 0)
        return Image.fromarray(np.ascontiguousarray(pixels))


def _read_records(path: Path) -> list[Sample]:
    content = np.fromfile(path, np.uint8)
    size = len(content)
    if size == 0 or size % RECORD:
        raise describe_damaged(path, f"{size} bytes are no multiple of {RECORD}")
    records = content.reshape(-1, RECORD)
    labels = records[:, 0]
    highest = labels.max()
    if highest >= CLASSES:
        raise describe_damaged(path, f"label {highest}, allowed: 0 to {CLASSES - 1}")
    # a record is in no file of its own, so its place gives it a name
    samples = []
    for index, record in enumerate(records):
        sample = Sample(f"{path.name}:{index}", record[1:])
        samples.append(sample)
    return samples
