"""The one form in which every data set reaches a task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOID = 255  # the label of pixels that count neither in training nor in evaluation


@dataclass(frozen=True)
class Split:
    """images: uint8 (N, H, W, C). masks: class indices, uint8 (N, H, W), 255 = void; None if there are none."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None = None

    def identity(self) -> dict[str, Any]:
        """Count and hash, stored with each cell: two results compare only if these agree."""
        digest = hashlib.sha256(self.images.tobytes())
        if self.masks is not None:
            digest.update(self.masks.tobytes())
        return {"count": len(self.images), "sha256": digest.hexdigest()[:16]}


@dataclass(frozen=True)
class Dataset:
    """Three splits that share no pixel, and the names of the classes in the order of their indices."""

    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        return {name: getattr(self, name).identity() for name in ("train", "val", "test")}
