"""Metrics of generated images on real tiles: they see what they are for, and stay still where nothing changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter
from scipy.stats import f_oneway
from upbench.metrics.checkerboard import (
    LATTICE_ENERGY,
    checkerboard,
    lattice_energy,
    lattice_excess,
    phase_share,
    phase_variance,
    power_spectrum,
)
from upbench.metrics.reconstruction import reconstruction_psnr, reconstruction_rmse, reconstruction_ssim
from upbench.metrics.spectrum import azimuthal_average, spectral_distance

from tests.metrics.conftest import checkered


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
    for side in (63, 14):
        with pytest.raises(ValueError, match="multiples of 2 and at least 16"):
            checkerboard(generated[:, :side, :side], real[:, :side, :side])


def waves(images, rows: float, columns: float, amplitude: float = 8):
    """A wave of so many pi a pixel down and across, on top of the images."""
    y, x = np.arange(images.shape[1])[:, None], np.arange(images.shape[2])
    wave = amplitude * np.cos(np.pi * (rows * y + columns * x))
    return np.clip(np.rint(images + wave[None, :, :, None]), 0, 255).astype(np.uint8)


PLACES = {"pi,0": (1, 0), "0,pi": (0, 1), "pi,pi": (1, 1), "pi/2,0": (0.5, 0), "0,pi/2": (0, 0.5),
          "pi/2,pi/2": (0.5, -0.5), "pi/2,pi": (0.5, 1), "pi,pi/2": (1, 0.5)}  # fmt: skip


@pytest.mark.parametrize("name", LATTICE_ENERGY.members)
def test_each_wave_is_seen_at_its_place_alone(tiles, name: str) -> None:
    generated, real = tiles[0] // 2 + 32, tiles[1]  # clear of 0 and 255, where clipping would make harmonics
    clean, wavy = lattice_energy(generated, real), lattice_energy(waves(generated, *PLACES[name]), real)
    assert list(wavy) == list(LATTICE_ENERGY.members)
    for place, value in wavy.items():
        if place == name:
            assert value > clean[place] + 6
        else:
            assert value == pytest.approx(clean[place], abs=2)


def test_the_lattice_score_is_that_of_its_parts() -> None:
    """Where real images are flat in frequency, the checkerboard score is the mean excess at the three places of x2."""
    rng = np.random.default_rng(0)
    noise = rng.integers(64, 192, (64, 64, 64, 1)).astype(np.uint8)
    wavy = waves(noise, 1, 0, 20)
    parts = [10 ** (lattice_energy(wavy, noise)[place] / 10) for place in ("pi,0", "0,pi", "pi,pi")]
    assert checkerboard(wavy, noise) == pytest.approx(10 * math.log10(np.mean(parts)), abs=0.5)


def test_the_phase_share_is_the_correlation_ratio(tiles) -> None:
    """Against one-way analyses of variance: F = (share / 3) / ((1 - share) / (n - 4)), for one image."""
    image = checkered(tiles[0][:1], 8)
    grey = image[0].astype(float).mean(-1)
    low = convolve(grey, np.outer([1, 2, 1], [1, 2, 1]) / 16)
    detail = (grey - low)[1:-1, 1:-1]
    phases = [detail[row::2, column::2].ravel() for row in (0, 1) for column in (0, 1)]
    share = phase_share(image)
    assert share / 3 / ((1 - share) / (detail.size - 4)) == pytest.approx(f_oneway(*phases).statistic)


def test_the_phase_variance_sees_any_pattern_of_phases(tiles) -> None:
    generated, real = tiles
    assert phase_share(real) < 2e-3
    assert abs(phase_variance(generated, real)) < 3
    scores = [phase_variance(checkered(generated, amplitude), real) for amplitude in (0, 4, 8, 16)]
    assert scores == sorted(scores)
    for place in ("pi,0", "0,pi", "pi,pi"):
        assert phase_variance(waves(generated, *PLACES[place]), real) > scores[0] + 10
    assert phase_variance(waves(generated, 0.5, 0), real) < scores[0] + 3, "of period 4, which x2 phases do not have"
    pattern = np.zeros((1, 8, 8, 1), np.uint8)
    pattern[:, ::2, ::2] = 9
    assert phase_share(pattern) == pytest.approx(1)


def test_the_azimuthal_average_is_its_definition() -> None:
    spectrum = np.random.default_rng(0).uniform(1, 2, (16, 24))
    rings: dict[int, list[float]] = {}
    for row, column in np.ndindex(*spectrum.shape):
        y, x = min(row, 16 - row) / 16, min(column, 24 - column) / 24
        rings.setdefault(round(16 * math.hypot(y, x)), []).append(spectrum[row, column])
    assert azimuthal_average(spectrum) == pytest.approx([np.mean(rings[ring]) for ring in range(len(rings))])


def test_the_spectral_distance_is_in_decibels(tiles) -> None:
    generated, real = tiles
    assert spectral_distance(real, real) == 0
    assert spectral_distance((real // 2) * 2, (real // 2)) == pytest.approx(20 * math.log10(2), abs=1e-9)
    blurred = np.stack([gaussian_filter(image, (1, 1, 0)) for image in generated])
    assert spectral_distance(blurred, real) > spectral_distance(generated, real) + 5


def test_blank_images_have_no_score(tiles) -> None:
    blank = np.full_like(tiles[0], 7)
    blank[..., 1] = 100
    for metric in (checkerboard, phase_variance, spectral_distance):
        assert not math.isfinite(metric(blank, tiles[1])), metric
    assert all(math.isnan(value) for value in lattice_energy(blank, tiles[1]).values())


def test_rmse_is_its_definition(tiles) -> None:
    ours, original = tiles
    expected = np.sqrt(((ours.astype(float) - original) ** 2).mean())
    assert reconstruction_rmse(ours, original) == pytest.approx(expected)
    assert reconstruction_rmse(ours, ours) == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_and_ssim_are_those_of_torchmetrics(tiles, channels: int) -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    original = tiles[0][:6, :40, :, :channels]
    noise = np.random.default_rng(0).normal(0, 12, original.shape)
    ours = np.clip(original + noise, 0, 255).astype(np.uint8)
    x, y = (torch.from_numpy(images).movedim(-1, 1).double() for images in (ours, original))
    psnr = float(peak_signal_noise_ratio(x, y, data_range=255.0))
    assert reconstruction_psnr(ours, original) == pytest.approx(psnr, rel=1e-6)
    _, ssim = structural_similarity_index_measure(x, y, data_range=255.0, return_full_image=True)
    inside = ssim[..., 5:-5, 5:-5]  # as its authors' own code has it; torchmetrics would count the padded border
    assert reconstruction_ssim(ours, original) == pytest.approx(float(inside.mean()), rel=1e-6)


def test_an_exact_reconstruction_is_the_best_there_is(tiles) -> None:
    assert reconstruction_psnr(tiles[0], tiles[0]) == math.inf
    assert reconstruction_ssim(tiles[0], tiles[0]) == pytest.approx(1)
    with pytest.raises(ValueError, match="11 x 11"):
        reconstruction_ssim(tiles[0][:, :10], tiles[0][:, :10])
