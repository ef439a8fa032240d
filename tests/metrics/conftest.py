"""Real images for the metrics that compare images."""

from __future__ import annotations

import numpy as np
import pytest
from upbench.data.earth import Earth


@pytest.fixture(scope="session")
def tiles():
    """Two disjoint halves of 96 real land tiles."""
    images = Earth(tiles="land").load().test.images
    chosen = images[np.random.default_rng(0).permutation(len(images))[:96]]
    return chosen[:48], chosen[48:]


def checkered(images, amplitude: int):
    """A pattern of period 2 in both directions, as one wrong phase of a x2 layer draws it."""
    pattern = np.zeros(images.shape[1:3], int)
    pattern[1::2, 1::2] = amplitude
    return np.clip(images + pattern[None, :, :, None], 0, 255).astype(np.uint8)
