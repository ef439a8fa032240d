"""Every network with every layer: shapes, gradients, state, refusals. New ones are found by themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from upbench.errors import UserError
from upbench.layers import LAYERS, build
from upbench.layers.base import UpsamplingLayer
from upbench.models import MODELS

SMALL = {"channels": 8, "depth": 3, "latent": 8, "backbone": "resnet18", "output_stride": 32}
SIDE = {1: 32, 2: 32, 3: 16}
COLOURS = 3  # an odd number: a layer may want another, but not of a network
RECTANGLE = {1: (64,), 2: (32, 64), 3: (16, 8, 32)}
NETWORKS = [(model, dims) for model in MODELS for dims in (1, 2, 3) if dims == 2 or "dims" in MODELS.options(model)]
GANS = [model for model in MODELS if MODELS.get(model).role == "gan"]


def make(
    model: str,
    layer: str = "transposed_conv",
    size: int | tuple[int, ...] = 32,
    *,
    colours: int = 8,
    seed: int = 0,
    **options: object,
) -> Any:
    """A small network, COLOURS out, or a bare layer, as many out as in; of `options` those that it has."""
    torch.manual_seed(seed)
    known = MODELS.options(model)
    options = {key: value for key, value in {**SMALL, **options}.items() if key in known}
    return MODELS.build(model, partial(build, layer), colours, outputs(model, colours), size, **options)


def outputs(model: str, colours: int = 8) -> int:
    return colours if MODELS.get(model).role == "layer" else COLOURS


def run(network: Any, x: torch.Tensor | None = None) -> torch.Tensor:
    """What the network makes of x, or of two white inputs; of an autoencoder its reconstruction."""
    output = network(torch.randn(2, *network.input_shape) if x is None else x)
    return output[0] if isinstance(output, tuple) else output


def shape(model: str, dims: int) -> tuple[int, ...]:
    scale = 2 if MODELS.get(model).role == "layer" else 1
    return (2, outputs(model), *[scale * SIDE[dims]] * dims)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("model", "dims"), NETWORKS)
def test_every_network_takes_every_layer_that_has_its_dimensions(model: str, dims: int, layer: str) -> None:
    with torch.device("meta"):
        if dims not in LAYERS.get(layer).dims_supported:
            with pytest.raises(ValueError, match=r"^dims must be .*, got \d$"):
                make(model, layer, SIDE[dims], dims=dims)
            return
        network = make(model, layer, SIDE[dims], dims=dims)
        output = run(network)
    assert output.shape == shape(model, dims)
    output.square().mean().backward()
    # the variance of an autoencoder's code reaches its reconstruction too, so nothing may be left out
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    built = [module for module in network.modules() if isinstance(module, UpsamplingLayer)]
    assert built
    assert all(module.dims == dims for module in built)


@pytest.mark.parametrize(("model", "dims"), NETWORKS)
def test_values_and_gradients_are_finite(model: str, dims: int) -> None:
    network = make(model, "pixel_dcl", SIDE[dims], dims=dims)
    output = run(network)
    assert output.isfinite().all()
    output.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(("model", "dims"), NETWORKS)
def test_a_network_is_its_state(model: str, dims: int) -> None:
    one, other = (make(model, "pixel_dcl", SIDE[dims], dims=dims, seed=seed) for seed in (0, 1))
    run(one)  # normalisation statistics are state too
    x = torch.randn(2, *one.input_shape)
    before, wanted = (run(network.eval(), x) for network in (other, one))
    assert not torch.equal(before, wanted)
    other.load_state_dict(one.state_dict())
    assert torch.equal(run(other, x), wanted)


@pytest.mark.parametrize(
    ("model", "options", "count"),
    [
        ("single", {}, 1),
        ("unet", {"depth": 4}, 3),
        ("deeplab", {}, 5),
        ("deeplab", {"backbone": "resnet50", "output_stride": 16}, 4),
        ("deeplab", {"backbone": "resnet50", "output_stride": 8}, 3),
        ("vae", {}, 4),
        ("dcgan", {}, 4),
        ("sngan", {}, 3),
    ],
)
def test_the_layer_under_test_is_in_every_place_where_a_network_grows(
    model: str, options: dict[str, Any], count: int
) -> None:
    with torch.device("meta"):
        network = make(model, **options)
    assert sum(isinstance(module, UpsamplingLayer) for module in network.modules()) == count
    others = (nn.ConvTranspose2d, nn.PixelShuffle)
    assert not any(isinstance(module, others) for module in network.modules())


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


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_only_batch_normalisation_lets_one_image_see_another(norm: str, dims: int) -> None:
    network = make("unet", size=SIDE[dims], norm=norm, dims=dims).train()
    x = torch.randn(3, *network.input_shape)
    alone, together = network(x[:1]), network(x)[:1]
    assert torch.allclose(alone, together, atol=1e-5) == (norm != "batch")


def test_a_unet_of_signals_is_that_of_images_whose_rows_are_equal() -> None:
    signals, images = (make("unet", dims=dims) for dims in (1, 2))
    state = signals.state_dict()
    for name, weight in images.state_dict().items():
        if weight.ndim == 4:  # its kernels see one row only, where the layer under test makes two rows of one
            rows = [1, 2] if name.startswith("up.") else [weight.shape[2] // 2]
            state[name], narrow = torch.zeros_like(weight), state[name]
            state[name][:, :, rows] = narrow[:, :, None]
    images.load_state_dict(state)
    x = torch.randn(2, *signals.input_shape)
    expected = signals(x)[:, :, None].expand(-1, -1, 32, -1)
    assert torch.allclose(images(x[:, :, None].expand(-1, -1, 32, -1)), expected, atol=1e-5)


def test_the_vae_is_noisy_in_training_and_deterministic_in_evaluation() -> None:
    network = make("vae", "pixel_shuffle", colours=3)
    x = torch.rand(2, 3, 32, 32)
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(network(x)[0], network(x)[0])


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_deeplab_dilates_instead_of_shrinking(stride: int) -> None:
    with torch.device("meta"):
        network = MODELS.build("deeplab", partial(build, "transposed_conv"), 3, 21, 256, output_stride=stride)
        features = network.features(torch.empty(2, 3, 256, 256))
    assert features.shape == (2, 2048, 256 // stride, 256 // stride)
    widths = [module.out_channels for module in network.stages if isinstance(module, UpsamplingLayer)]
    assert widths == [128, 64, 32, 16, 16][: len(widths)]
    parameters = {name: parameter.shape for name, parameter in network.features.named_parameters()}
    assert sum(shape.numel() for shape in parameters.values()) == 23_508_032  # ResNet-50 without its classifier


@pytest.mark.parametrize("model", GANS)
def test_generators_make_images_and_discriminators_judge_them(model: str) -> None:
    generator = make(model)
    discriminator = generator.discriminator()
    images = generator(torch.randn(4, *generator.input_shape))
    assert images.shape == (4, COLOURS, 32, 32)
    assert 0 <= images.min() < images.max() <= 1
    logits = discriminator(images)
    assert logits.shape == (4,)
    logits.sum().backward()
    for network in (generator, discriminator):
        assert [name for name, p in network.named_parameters() if p.grad is None] == []
    again = generator.discriminator()
    again.load_state_dict(discriminator.state_dict())
    assert torch.equal(discriminator.eval()(images), again.eval()(images))


@pytest.mark.parametrize("model", GANS)
def test_the_discriminator_is_no_part_of_the_generator(model: str) -> None:
    """What a layer costs is counted on the network that holds it; and the layer does not shape its opponent."""
    generator = make(model)
    before = sum(parameter.numel() for parameter in generator.parameters())
    sizes = {name: p.shape for name, p in generator.discriminator().named_parameters()}
    assert sum(parameter.numel() for parameter in generator.parameters()) == before
    assert sizes == {name: p.shape for name, p in make(model, "pixel_shuffle").discriminator().named_parameters()}


def test_the_spectral_norm_of_every_map_of_the_discriminator_is_one() -> None:
    discriminator = make("sngan").discriminator().train()
    x = torch.rand(2, COLOURS, 32, 32)
    for _ in range(20):  # one step of the power method each
        discriminator(x)
    maps = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(maps) == 5 * 3 + 1
    for module in maps:
        assert float(torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("model", "dims"), NETWORKS)
def test_every_network_works_on_rectangles(model: str, dims: int) -> None:
    sides = RECTANGLE[dims]
    network = make(model, "pixel_dcl", sides, dims=dims)
    output = run(network)
    scale = 2 if network.role == "layer" else 1
    assert output.shape == (2, outputs(model), *(scale * side for side in sides))
    assert output.isfinite().all()
    if network.role == "gan":
        assert network.discriminator()(output).shape == (2,)


@pytest.mark.parametrize(("model", "dims"), NETWORKS)
def test_one_side_is_the_same_as_that_side_in_each_dimension(model: str, dims: int) -> None:
    side = SIDE[dims]
    one, other = (make(model, "pixel_dcl", size, dims=dims) for size in (side, (side,) * dims))
    assert one.input_shape == other.input_shape
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize("model", [model for model in MODELS if MODELS.get(model).role == "dense"])
def test_a_dense_network_has_the_same_weights_for_rectangles_as_for_squares(model: str) -> None:
    square, rectangle = (make(model, "pixel_dcl", size) for size in (32, (32, 64)))
    for name, value in square.state_dict().items():
        assert torch.equal(value, rectangle.state_dict()[name]), name


@pytest.mark.parametrize(
    ("model", "options", "size", "said"),
    [
        ("unet", {"depth": 5}, (120, 160), "height 120 of 120x160 must be a multiple of 16 to be halved 4 times"),
        ("unet", {"depth": 3, "dims": 3}, (8, 8, 9), "width 9 of 8x8x9 must be a multiple of 4"),
        ("unet", {"depth": 3}, (32, 32, 32), "dims = 2 does not fit images of"),
        ("unet", {"depth": 6}, (0, 32), "height 0 of 0x32 must be a multiple of 32"),
        ("vae", {}, (32, 40), "width 40 of 32x40 must be a multiple of 16"),
        ("dcgan", {}, (40, 32), "height 40 of 40x32 must be a multiple of 16"),
        ("sngan", {}, (32, 40), "width 40 of 32x40 must be a multiple of 16"),
        ("deeplab", {}, (32, 48), "width 48 of 32x48 must be a multiple of 32"),
        ("single", {}, (32,), "dims = 2 does not fit images of"),
        ("unet", {"depth": 6}, 48, "size 48 must be a multiple of 32"),
        ("unet", {"depth": 1}, 32, "depth must be at least 2"),
        ("unet", {"dims": 4}, 32, "dims must be 1, 2 or 3, got 4"),
        ("single", {"dims": 4}, 32, "dims must be 1 or 2 or 3"),
        ("vae", {}, 40, "size 40 must be a multiple of 16"),
        ("dcgan", {}, 40, "size 40 must be a multiple of 16"),
        ("sngan", {}, 40, "size 40 must be a multiple of 16"),
        ("deeplab", {}, 48, "size 48 must be a multiple of 32"),
        ("deeplab", {"output_stride": 16}, 32, "output_stride of resnet18 must be 32, got 16"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    model: str, options: dict[str, int], size: int | tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refusal, torch.device("meta"):
        make(model, size=size, **options)
    assert "\n" not in str(refusal.value)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'unet'"):
        MODELS.get("unnet")
