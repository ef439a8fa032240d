"""What the tasks that make images share: the real images they are held against, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from upbench.data.base import Split
from upbench.errors import Diverged
from upbench.metrics.checkerboard import power_spectrum
from upbench.tasks.base import to_uint8

SHOWN = 16  # images of each sort kept for the figures
CHUNK = 64  # images that are made at once


def draw_real(split: Split, count: int) -> NDArray[np.uint8]:
    """Draw `count` images (N, H, W, C) of the split, or all if it has fewer, at random but the same for every cell."""
    # not the cell's seed: all cells are held against the same images
    order = np.random.default_rng(0).permutation(len(split.images))
    return split.images[order[:count]]


def make_images(decode: Callable[[Tensor], Tensor], inputs: Tensor) -> NDArray[np.uint8]:
    """Make images, chunk by chunk.

    Args:
        decode: a chunk of the inputs -> images (N, C, H, W) in [0, 1].
        inputs: codes or images, the first axis counts them.

    Returns:
        uint8 images (N, H, W, C).

    Raises:
        Diverged: for images that are not finite.
    """
    # in chunks: memory then does not grow with the number of images
    chunks = []
    for chunk in inputs.split(CHUNK):
        images = decode(chunk)
        if not images.isfinite().all():
            raise Diverged("the generated images are not finite")
        chunks.append(to_uint8(images))
    return np.concatenate(chunks)


def keep_pictures(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> dict[str, NDArray]:
    """The arrays of the figures `images` and `spectra`: a few images of both sorts, and the mean spectrum of each."""
    return {
        "generated": generated[:SHOWN],
        "original": real[:SHOWN],
        "spectrum": power_spectrum(generated),
        "spectrum_real": power_spectrum(real),
    }
