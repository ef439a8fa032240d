"""What the tasks that make images share: the real images they are held against, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.data.base import Split
from bench.errors import Diverged
from bench.metrics.checkerboard import power_spectrum
from bench.tasks.base import to_uint8

SHOWN = 16  # images of each kind kept for the figures
CHUNK = 64


def draw_real(split: Split, count: int) -> NDArray[np.uint8]:
    """`count` images (N, H, W, C) of the split, or all if it has fewer, at random but the same for every cell."""
    return split.images[np.random.default_rng(0).permutation(len(split.images))[:count]]


def make_images(decode: Callable[[Tensor], Tensor], inputs: Tensor) -> NDArray[np.uint8]:
    """(N, H, W, C) of what `decode` makes of the inputs, chunk by chunk. Raises Diverged for what is not finite."""
    return np.concatenate([_finite(decode(chunk)) for chunk in inputs.split(CHUNK)])


def pictures(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> dict[str, NDArray]:
    """The arrays of the figures `images` and `spectra`: a few of both kinds, and the mean spectrum of each."""
    return {
        "generated": generated[:SHOWN],
        "original": real[:SHOWN],
        "spectrum": power_spectrum(generated),
        "spectrum_real": power_spectrum(real),
    }


def _finite(images: Tensor) -> NDArray[np.uint8]:
    if not images.isfinite().all():
        raise Diverged("the generated images are not finite")
    return to_uint8(images)
