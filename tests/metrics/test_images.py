"""Metrics of generated images on real tiles: they see what they are for, and stay still where nothing changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.data.earth import Earth
from bench.metrics.checkerboard import checkerboard, lattice_excess, power_spectrum
from bench.metrics.reconstruction import reconstruction_rmse


@pytest.fixture(scope="module")
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


def test_the_checkerboard_score_grows_with_the_pattern(tiles) -> None:
    generated, real = tiles
    scores = [checkerboard(checkered(generated, amplitude), real) for amplitude in (0, 4, 8, 16)]
    assert abs(scores[0]) < 3, "real images are as clean as real images"
    assert scores == sorted(scores)
    assert scores[1] > scores[0] + 6
    assert scores[3] - scores[2] == pytest.approx(20 * math.log10(2), abs=1.5), "energy goes with the square"


def test_the_score_ignores_brightness_and_contrast(tiles) -> None:
    generated, real = tiles
    dimmed = (generated // 2).astype(np.uint8)
    assert checkerboard(dimmed, real) == pytest.approx(checkerboard(generated, real), abs=1.5)


@pytest.mark.parametrize("bin_", [(32, 0), (0, 32), (32, 32)])
def test_each_lattice_frequency_counts(bin_: tuple[int, int]) -> None:
    spectrum = np.ones((64, 64))
    assert lattice_excess(spectrum) == pytest.approx(1)
    spectrum[bin_] = 31
    assert lattice_excess(spectrum) == pytest.approx(11)


def test_the_spectrum_keeps_the_energy_of_white_noise() -> None:
    noise = np.random.default_rng(0).normal(128, 10, (64, 32, 32, 1)).clip(0, 255).astype(np.uint8)
    assert power_spectrum(noise).mean() == pytest.approx(100, rel=0.05)


def test_images_that_have_no_score_are_refused(tiles) -> None:
    generated, real = tiles
    for ours in (generated[:, :32], generated[:0], generated[:, :63, :63]):
        with pytest.raises(ValueError, match=r"images of one size|even"):
            checkerboard(ours, real if ours.shape[1] != 63 else real[:, :63, :63])


def test_rmse_is_its_definition(tiles) -> None:
    ours, original = tiles
    expected = np.sqrt(((ours.astype(float) - original) ** 2).mean())
    assert reconstruction_rmse(ours, original) == pytest.approx(expected)
    assert reconstruction_rmse(ours, ours) == 0
    assert math.isnan(reconstruction_rmse(ours[:0], original[:0]))
    with pytest.raises(ValueError, match="differ in shape"):
        reconstruction_rmse(ours, original[:1])


def test_kid_sees_a_checkerboard(tiles) -> None:
    from bench.metrics.fidelity import kid

    generated, real = tiles[0][:32], tiles[1][:32]
    clean = kid(generated, real)
    assert kid(checkered(generated, 16), real) > clean + 20
    assert kid(generated, real) == clean, "drawn with a fixed seed"


@pytest.mark.slow
def test_fd_sees_a_checkerboard(tiles) -> None:
    from bench.metrics.fidelity import fd

    generated, real = tiles
    assert fd(checkered(generated, 16), real) > fd(generated, real) > fd(real, real)


def test_kid_is_that_of_its_formula(tiles) -> None:
    """The unbiased estimator, computed here from the features of two sets as large as the subsets."""
    from bench.metrics import fidelity

    generated, real = tiles
    network = fidelity.EfficientNetLite0(fidelity.EXTRACTOR, [fidelity.FEATURES]).eval()
    with torch.inference_mode():
        x, y = (network(torch.from_numpy(images).movedim(-1, 1))[0].double() for images in tiles)
    n = len(x)
    kernel = lambda a, b: (a @ b.T / 1280 + 1) ** 3  # noqa: E731
    off_diagonal = lambda k: (k.sum() - k.diagonal().sum()) / (n * (n - 1))  # noqa: E731
    expected = off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean()
    assert fidelity.kid(generated, real) == pytest.approx(1000 * float(expected), rel=1e-2, abs=0.5)


@pytest.mark.parametrize("name", ["kid", "fd"])
def test_too_few_images_are_refused(tiles, name: str) -> None:
    from bench.metrics import fidelity

    with pytest.raises(ValueError, match="two images a side"):
        getattr(fidelity, name)(tiles[0][:1], tiles[1])
