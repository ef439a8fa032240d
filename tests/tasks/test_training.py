"""Training and evaluation on real tiles: they learn, repeat to the bit, and tell divergence from failure."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from upbench.cell import Cell, Spec
from upbench.data import DATA
from upbench.errors import Diverged, UserError
from upbench.layers import LAYERS
from upbench.metrics import METRICS
from upbench.models import MODELS
from upbench.tasks import TASKS
from upbench.tasks.base import build_network
from upbench.tasks.generation import negative_elbo
from upbench.tasks.segmentation import compute_class_weights
from upbench.tasks.training import draw_batches


def cell(
    task: str, model: str, layer: str = "pixel_dcl", data: str = "earth", seed: int = 0, **options: object
) -> Cell:
    source = {"size": 32} if data == "earth" else {"file": "data.npz"}
    return Cell(
        Spec(task, TASKS.complete(task, options)),
        Spec(model, MODELS.complete(model, {"channels": 4, **({"depth": 3} if model == "unet" else {})})),
        Spec(layer, LAYERS.complete(layer, {})),
        Spec(data, DATA.complete(data, source)),
        seed=seed,
    )


def run(subject: Cell, folder: Path | None = None):
    return TASKS.build(subject.task.name, **subject.task.options).run(subject, folder)


@settings(deadline=None)
@given(count=st.integers(1, 20), batch=st.integers(1, 30), steps=st.integers(0, 12), seed=st.integers(0, 99))
def test_batches_use_every_item_equally_often(count: int, batch: int, steps: int, seed: int) -> None:
    drawn = list(draw_batches(count, batch, steps, seed))
    assert [len(indices) for indices in drawn] == [batch] * steps
    uses = Counter(int(index) for indices in drawn for index in indices)
    frequencies = [uses[item] for item in range(count)]
    assert max(frequencies) - min(frequencies) <= 1
    assert all(torch.equal(a, b) for a, b in zip(drawn, draw_batches(count, batch, steps, seed), strict=True))


def test_segmentation_learns() -> None:
    result = run(cell("segmentation", "unet", steps=60, batch=8, learning_rate=1e-2))
    values = {measurement.metric: measurement.value for measurement in result.measurements}
    always_ocean = 0.6
    assert values["pixel_accuracy"] > always_ocean
    assert np.mean(result.raw["loss"][-10:]) < 0.6 * result.raw["loss"][0]
    assert result.arrays["prediction"].shape == result.arrays["truth"].shape


def test_generation_learns_and_keeps_its_pictures() -> None:
    names = ["checkerboard", "reconstruction_rmse"]
    short, longer = (
        run(cell("generation", "vae", steps=steps, batch=16, samples=24, learning_rate=5e-3, metrics=names))
        for steps in (2, 150)
    )
    rmse = [next(m.value for m in r.measurements if m.metric == "reconstruction_rmse") for r in (short, longer)]
    assert rmse[1] < 0.8 * rmse[0]
    assert longer.arrays["generated"].dtype == np.uint8
    assert longer.arrays["spectrum"].shape == (32, 32)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(layer: str) -> None:
    subjects = [cell("segmentation", "unet", layer, seed=seed, steps=3, batch=2) for seed in (0, 0, 1)]
    one, same, other = (run(subject) for subject in subjects)
    assert one.measurements == same.measurements
    assert one.raw == same.raw
    assert one.raw["loss"] != other.raw["loss"]


def test_a_loss_that_is_not_finite_is_divergence() -> None:
    with pytest.raises(Diverged, match="training loss"):
        run(cell("segmentation", "unet", steps=60, batch=2, learning_rate=1e30))


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_void_pixels_do_not_train(tmp_path: Path, balance: float) -> None:
    """The loss of the first step is the cross-entropy of the untrained network over the other pixels alone."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 16, 16, 1), np.uint8)
    masks = rng.choice(np.array([0, 0, 1, 255], np.uint8), (4, 16, 16))
    arrays = {f"{split}_{kind}": a for split in ("train", "test") for kind, a in (("images", images), ("masks", masks))}
    np.savez(tmp_path / "data.npz", class_names=np.array(["dark", "light"]), **arrays)
    subject = cell("segmentation", "unet", data="npz", steps=1, batch=4, balance=balance)
    x = torch.from_numpy(images).movedim(-1, 1).float() / 255
    probabilities = build_network(subject, 1, 2, 16).train()(x - x.mean()).softmax(1)
    truth = torch.from_numpy(masks).long()
    kept = truth != 255
    weights = compute_class_weights(torch.from_numpy(masks), 2, balance)[truth[kept]]
    each = -torch.where(truth == 1, probabilities[:, 1], probabilities[:, 0])[kept].log()
    expected = (weights * each).sum() / weights.sum()
    assert run(subject, tmp_path).raw["loss"] == pytest.approx([float(expected.detach())], rel=1e-5)


@pytest.mark.parametrize(
    ("balance", "expected"), [(0.0, [1, 1, 1, 0]), (1.0, [0.5, 1, 2, 0]), (0.5, [0.5**0.5, 1, 2**0.5, 0])]
)
def test_classes_weigh_what_their_frequency_says(balance: float, expected: list[float]) -> None:
    masks = torch.tensor([0] * 8 + [1] * 4 + [2] * 2 + [255] * 2, dtype=torch.uint8).view(1, 4, 4)
    weights = compute_class_weights(masks, 4, balance)
    assert torch.allclose(weights[:4], torch.tensor(expected, dtype=torch.float))
    assert not weights[4:].any(), "void weighs nothing"


def test_data_without_masks_cannot_be_segmented(shared: Path) -> None:
    subject = cell("segmentation", "unet", steps=1)
    emoji = Spec("npz", DATA.complete("npz", {"file": "twemoji_64.npz"}))
    with pytest.raises(UserError, match="has no masks"):
        run(Cell(subject.task, subject.model, subject.layer, emoji), shared)


def test_the_bound_is_that_of_its_formula() -> None:
    torch.manual_seed(0)
    x, reconstruction = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    mean, log_variance = torch.randn(4, 5), torch.randn(4, 5)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    sigma = (reconstruction - x).square().mean().sqrt()
    likelihood = torch.distributions.Normal(reconstruction, sigma).log_prob(x).sum((1, 2, 3)).mean()
    constant = 0.5 * 3 * 64 * (1 + torch.log(torch.tensor(2 * torch.pi)))
    expected = kl - likelihood - constant
    assert torch.allclose(negative_elbo(reconstruction, x, mean, log_variance), expected, rtol=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_every_default_metric_of_a_task_exists(task: str) -> None:
    for name in TASKS.options(task).get("metrics", ()):
        assert name in METRICS


def test_a_metric_of_another_task_is_refused() -> None:
    subject = cell("segmentation", "unet", metrics=["checkerboard"])
    with pytest.raises(ValueError, match="compares samples"):
        TASKS.build("segmentation", **subject.task.options).check(subject, None)
