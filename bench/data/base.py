"""The one form in which every data set reaches a task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOID = 255  # the label of pixels that count neither in training nor in evaluation
SPLITS = ("train", "val", "test")

Allocate = Callable[[str, tuple[int, ...]], NDArray[np.uint8]]  # ("train_images", shape) -> an array to fill


def in_memory(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


@dataclass(frozen=True)
class Split:
    """images: uint8 (N, H, W, C). masks: class indices, uint8 (N, H, W), 255 = void; None if there are none.

    sha256: the hash that `identity` gives, where it is already known.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None = None
    sha256: str = field(default="", compare=False)

    def identity(self) -> dict[str, Any]:
        """Count and hash, stored with each cell: two results compare only if these agree."""
        return {"count": len(self.images), "sha256": self.sha256 or self._hash()}

    def _hash(self) -> str:
        digest = hashlib.sha256(np.ascontiguousarray(self.images).reshape(-1).data)
        if self.masks is not None:
            digest.update(np.ascontiguousarray(self.masks).reshape(-1).data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Dataset:
    """Three splits that share no pixel, and the names of the classes in the order of their indices."""

    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        return {name: getattr(self, name).identity() for name in SPLITS}
