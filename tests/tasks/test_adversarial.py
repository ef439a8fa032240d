"""A generator against a discriminator: the losses, what is paired between layers, and how it fails."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from upbench.cell import Cell, Spec
from upbench.data import DATA
from upbench.errors import Diverged
from upbench.layers import LAYERS
from upbench.models import MODELS
from upbench.tasks import TASKS
from upbench.tasks.adversarial import discriminator_loss, generator_loss, move_average
from upbench.tasks.base import Result

GANS = [model for model in MODELS if MODELS.get(model).role == "gan"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with 24 training and 8 test images of 32 x 32 pixels, dark on the left."""
    ramp = np.linspace(20, 235, 32)[None, None, :, None]
    noise = np.random.default_rng(0).integers(-20, 21, (32, 32, 32, 3))
    images = (ramp + noise).astype(np.uint8)
    np.savez(tmp_path / "data.npz", train_images=images[:24], test_images=images[24:])
    return tmp_path


def cell(model: str = "dcgan", layer: str = "pixel_dcl", data: str = "npz", **options: Any) -> Cell:
    settings = {key: options.pop(key) for key in ("seed", "precision", "memory_format") if key in options}
    short = {"steps": 3, "batch": 4, "samples": 8, "metrics": ["checkerboard"]}
    return Cell(
        Spec("adversarial", TASKS.complete("adversarial", {**short, **options})),
        Spec(model, MODELS.complete(model, {"channels": 4, "latent": 8})),
        Spec(layer, LAYERS.complete(layer, {})),
        Spec(data, DATA.complete(data, {"size": 32} if data == "earth" else {"file": "data.npz"})),
        **settings,
    )


def run(subject: Cell, folder: Path | None) -> Result:
    return TASKS.build("adversarial", **subject.task.options).run(subject, folder)


def test_the_losses_are_the_cross_entropies_of_their_source() -> None:
    real, generated = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)) * 3
    entropy = F.binary_cross_entropy_with_logits
    told = entropy(real, torch.ones(50)) + entropy(generated, torch.zeros(50))
    assert torch.allclose(discriminator_loss(real, generated), told)
    assert torch.allclose(generator_loss(generated), entropy(generated, torch.ones(50)))


def test_tiles_of_the_earth_leave_losses_pictures_and_spectra() -> None:
    result = run(cell(data="earth", discriminator_steps=2), None)
    assert [measurement.metric for measurement in result.measurements] == ["checkerboard"]
    assert len(result.raw["loss"]) == 3
    assert len(result.raw["discriminator_loss"]) == 6
    assert result.raw["discriminator_loss"][0] == pytest.approx(2 * math.log(2), abs=0.2), "it starts undecided"
    assert result.raw["data"]["train"]["count"] > 0
    assert result.arrays["generated"].shape == result.arrays["original"].shape == (8, 32, 32, 3)
    assert result.arrays["generated"].dtype == np.uint8
    assert result.arrays["spectrum"].shape == result.arrays["spectrum_real"].shape == (32, 32)


def test_both_networks_learn(folder: Path) -> None:
    """The first thing that a generator learns is how dark its images should be on the left."""
    short, longer = (run(cell("sngan", steps=steps, learning_rate=2e-3), folder) for steps in (1, 40))
    assert min(longer.raw["discriminator_loss"]) < 0.8 * 2 * math.log(2)
    distance = [
        float(np.abs(result.arrays["generated"].mean((0, 1)) - result.arrays["original"].mean((0, 1))).mean())
        for result in (short, longer)
    ]
    assert distance[1] < 0.7 * distance[0]


@pytest.mark.parametrize("model", GANS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(model: str, folder: Path) -> None:
    one, same, other = (run(cell(model, seed=seed), folder) for seed in (0, 0, 1))
    assert one.measurements == same.measurements
    assert one.raw == same.raw
    assert all(np.array_equal(one.arrays[name], same.arrays[name]) for name in one.arrays)
    assert one.raw["loss"] != other.raw["loss"]


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize("model", GANS)
def test_bf16_and_memory_formats_change_the_losses_little(model: str, memory_format: str, folder: Path) -> None:
    reference = run(cell(model), folder)
    subject = run(cell(model, precision="bf16", memory_format=memory_format), folder)
    for name in ("loss", "discriminator_loss"):
        assert subject.raw[name] == pytest.approx(reference.raw[name], rel=0.05)
    assert subject.raw["loss"] != reference.raw["loss"]


def test_the_average_changes_what_is_sampled_and_not_how_it_is_trained(folder: Path) -> None:
    last, average = (run(cell(average=average), folder) for average in (0.0, 0.9))
    assert last.raw == average.raw
    assert not np.array_equal(last.arrays["generated"], average.arrays["generated"])


def test_the_average_moves_by_its_share_of_the_way() -> None:
    torch.manual_seed(0)
    average, network = (torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)) for _ in range(2))
    network(torch.randn(8, 3))  # its statistics move
    before = {name: value.clone() for name, value in average.state_dict().items()}
    move_average(average, network, 0.75)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(average.state_dict()[name], 0.75 * before[name] + 0.25 * value)
    move_average(average, network, 0.0)
    for ours, theirs in zip(average.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("model", GANS)
def test_a_loss_that_is_not_finite_is_divergence(model: str, folder: Path) -> None:
    with pytest.raises(Diverged, match=r"the (generator|discriminator)'s loss left the finite numbers"):
        run(cell(model, learning_rate=1e30, steps=6), folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"discriminator_steps": 0}, "discriminator_steps must be above 0"),
        ({"steps": -1}, "steps must be above 0"),
        ({"beta1": 1.0}, "beta1 must be at least 0 and below 1, got 1.0"),
        ({"average": -0.5}, "average must be at least 0 and below 1, got -0.5"),
        ({"metrics": ["mean_iou"]}, "metric 'mean_iou' compares masks"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, Any], said: str) -> None:
    subject = cell(**changes)
    with pytest.raises(ValueError, match=said):
        TASKS.build("adversarial", **subject.task.options).check(subject, None)
