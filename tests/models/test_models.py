"""Every network with every layer: shapes, gradients, refusals. New ones are found by themselves."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from bench.errors import UserError
from bench.layers import LAYERS, build
from bench.models import MODELS

SMALL = {"channels": 8}


def make(model: str, layer: str, size: int = 32, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    known = MODELS.options(model)
    options = {key: value for key, value in {**SMALL, **options}.items() if key in known}
    colours = 8 if MODELS.get(model).role == "layer" else 3
    return MODELS.build(model, partial(build, layer), colours, 4, size, **options)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("model", MODELS)
def test_every_network_takes_every_layer(model: str, layer: str) -> None:
    network = make(model, layer)
    scale, colours = (2, 8) if MODELS.get(model).role == "layer" else (1, 3)
    output = network(torch.rand(2, colours, 32, 32))
    output = output[0] if isinstance(output, tuple) else output
    assert output.shape == (2, 4, 32 * scale, 32 * scale)
    output.square().mean().backward()
    for name, parameter in network.named_parameters():
        if "log_variance" not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all()


def test_unet_with_and_without_skips_differ_only_in_the_merge() -> None:
    joined, bare = (make("unet", "pixel_dcl", skips=skips, depth=3) for skips in (True, False))
    differing = {
        name
        for (name, a), (_, b) in zip(joined.named_parameters(), bare.named_parameters(), strict=True)
        if a.shape != b.shape
    }
    assert differing == {"merge.0.0.weight", "merge.1.0.weight"}


def test_the_unet_is_that_of_the_paper() -> None:
    """Depth 5 and 64 channels: 1,024 at the bottom; with 2x2 transposed convolutions of equal channels."""
    with torch.device("meta"):
        network = MODELS.build("unet", partial(build, "transposed_conv"), 3, 21, 256)
    assert [up.in_channels for up in network.up] == [1024, 512, 256, 128]
    assert all(up.in_channels == up.out_channels for up in network.up)
    assert network(torch.empty(1, 3, 256, 256, device="meta")).shape == (1, 21, 256, 256)


def test_the_vae_is_noisy_in_training_and_deterministic_in_evaluation() -> None:
    network = make("vae", "pixel_shuffle")
    x = torch.rand(2, 3, 32, 32)
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(network(x)[0], network(x)[0])


@pytest.mark.parametrize(
    ("model", "options", "size"), [("unet", {"depth": 6}, 48), ("unet", {"depth": 1}, 32), ("vae", {}, 40)]
)
def test_sizes_that_do_not_fit_are_refused(model: str, options: dict[str, int], size: int) -> None:
    with pytest.raises(ValueError, match=r"size|depth"):
        make(model, "transposed_conv", size, **options)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'unet'"):
        MODELS.get("unnet")
