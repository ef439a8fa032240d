"""The one form in which every data set reaches a task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")

Allocate = Callable[[str, tuple[int, ...]], NDArray[np.uint8]]  # ("train_images", shape) -> an array to fill


def in_memory(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Allocate an array in the memory of this process, whatever its name."""
    return np.empty(shape, np.uint8)


@dataclass(frozen=True)
class DataShape:
    """What the arrays of a data set look like, known before any image is decoded.

    Attributes:
        height: height of every image in pixels.
        width: width of every image in pixels.
        channels: values of a pixel: 3 for colours, 1 for grey.
        classes: number of classes in the masks; 0 means that there are no masks.
    """

    height: int
    width: int
    channels: int
    classes: int


@dataclass(frozen=True)
class Split:
    """The images of one split and their masks.

    Attributes:
        images: uint8, shape (N, H, W, C).
        masks: the index of the class of every pixel, 255 = void; uint8, shape (N, H, W). None if there are no masks.
        sha256: the hash that `identity` gives, where it is already known; otherwise it is computed on request.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None = None
    sha256: str = field(default="", compare=False)

    def identity(self) -> dict[str, Any]:
        """Count and hash of the images and masks, stored with each cell: two results compare only if these agree."""
        sha256 = self.sha256 or self._hash()
        return {"count": len(self.images), "sha256": sha256}

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for array in (self.images, self.masks):
            if array is not None:
                # no copy where the array is contiguous already, as those of every set are
                contiguous = np.ascontiguousarray(array)
                digest.update(contiguous.data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Dataset:
    """Three splits that share no pixel.

    Attributes:
        train: what networks are trained on.
        val: what settings are chosen on. It may be empty.
        test: what the stored figures are measured on.
        class_names: the names of the classes in the order of their indices; empty if there are no masks.
    """

    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Count and hash of each split."""
        return {name: getattr(self, name).identity() for name in SPLITS}
