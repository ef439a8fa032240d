"""The peers and controls against the definitions in their papers."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from upbench.layers import LAYERS, build
from upbench.layers.phases import phases, views

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
FACTORS = pytest.mark.parametrize("scale_factor", [2, 3])


def example(name: str, dims: int = 2, in_channels: int = 8, out_channels: int = 4, **options: object):
    torch.manual_seed(0)
    layer = build(name, in_channels, out_channels, dims=dims, **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return layer, torch.randn(2, in_channels, *(5, 4, 3)[:dims], dtype=torch.double)


@DIMS
@FACTORS
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_nearest_conv(dims, scale_factor, kernel_size):
    layer, x = example("nearest_conv", dims, scale_factor=scale_factor, kernel_size=kernel_size)
    large = F.interpolate(x, scale_factor=scale_factor, mode="nearest")
    torch.testing.assert_close(layer(x), CONV[dims](large, layer.weight, padding=kernel_size // 2))


@DIMS
@FACTORS
@pytest.mark.parametrize(("name", "kernel_size"), [("bilinear_conv", 3), ("bilinear_conv", 5), ("bilinear_1x1", 1)])
def test_bilinear(name, kernel_size, dims, scale_factor):
    layer, x = example(
        name, dims, scale_factor=scale_factor, **({"kernel_size": kernel_size} if kernel_size > 1 else {})
    )
    large = F.interpolate(x, scale_factor=scale_factor, mode=LINEAR[dims])
    torch.testing.assert_close(layer(x), CONV[dims](large, layer.weight, padding=kernel_size // 2))


@DIMS
def test_bilinear_additive(dims):
    """Wojna et al.: interpolate, then add every four consecutive channels."""
    layer, x = example("bilinear_additive", dims)
    large = F.interpolate(x, scale_factor=2, mode=LINEAR[dims])
    added = torch.stack([large[:, 4 * i : 4 * i + 4].sum(1) for i in range(2)], 1)
    torch.testing.assert_close(layer(x), CONV[dims](added, layer.weight, padding=1))


def test_bilinear_additive_refuses_a_remainder():
    with pytest.raises(ValueError, match="in_channels must be a multiple of group 4, got 6"):
        build("bilinear_additive", 6, 4)


@DIMS
@FACTORS
def test_pixel_shuffle_is_independent_convolutions(dims, scale_factor):
    """Each phase of a sub-pixel convolution is a convolution of the input of its own."""
    layer, x = example("pixel_shuffle", dims, scale_factor=scale_factor)
    kernels = layer.weight.unflatten(0, (4, -1))
    for index, view in enumerate(views(layer(x), scale_factor)):
        torch.testing.assert_close(view, CONV[dims](x, kernels[:, index], padding=1))


@DIMS
@FACTORS
def test_independent_convs(dims, scale_factor):
    layer, x = example("independent_convs", dims, scale_factor=scale_factor)
    (step,) = layer.steps
    for view, kernel in zip(views(layer(x), scale_factor), step.weight.chunk(scale_factor**dims), strict=True):
        torch.testing.assert_close(view, CONV[dims](x, kernel, padding=1))


@DIMS
def test_icnr_starts_as_nearest_neighbour_resize(dims):
    """Aitken et al.: the sub-pixel convolution begins as a convolution followed by nearest-neighbour resize."""
    torch.manual_seed(0)
    layer, x = build("pixel_shuffle", 8, 4, dims=dims, init="icnr"), torch.randn(2, 8, *(5, 4, 3)[:dims])
    small = CONV[dims](x, layer.weight[:: 2**dims], padding=1)
    torch.testing.assert_close(layer(x), F.interpolate(small, scale_factor=2, mode="nearest"))
    assert not torch.allclose(build("pixel_shuffle", 8, 4, dims=dims)(x), layer(x))


def carafe_pixel(layer: torch.nn.Module, kernels: Tensor, x: Tensor, row: int, column: int) -> Tensor:
    """Wang et al., the reassembly of one output pixel: (N, C)."""
    scale_factor, reach = layer.scale_factor, layer.kernel_size // 2
    i, j, phase = row // scale_factor, column // scale_factor, row % scale_factor * scale_factor + column % scale_factor
    weights = kernels[:, :, phase, i, j].softmax(1)
    neighbours = F.pad(x, [reach] * 4)[:, :, i : i + layer.kernel_size, j : j + layer.kernel_size].flatten(2)
    return torch.einsum("nk,nck->nc", weights, neighbours)


@FACTORS
@pytest.mark.parametrize("out_channels", [8, 4])
def test_carafe(scale_factor, out_channels):
    layer, x = example("carafe", out_channels=out_channels, scale_factor=scale_factor, compressed=6)
    kernels = layer.encoder(layer.compressor(x)).unflatten(1, (layer.kernel_size**2, scale_factor**2))
    source = x if layer.projection is None else F.conv2d(x, layer.projection)
    y = layer(x)
    for row, column in itertools.product(range(y.shape[2]), range(y.shape[3])):
        torch.testing.assert_close(y[:, :, row, column], carafe_pixel(layer, kernels, source, row, column))


@FACTORS
def test_dysample_starts_as_bilinear(scale_factor):
    layer = build("dysample", 8, 8, scale_factor=scale_factor)
    torch.nn.init.zeros_(layer.offset.weight)
    x = torch.randn(2, 8, 5, 4)
    torch.testing.assert_close(layer(x), F.interpolate(x, scale_factor=scale_factor, mode="bilinear"))


def bilinear_at(image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """One value of (C, H, W) between pixel centres, the border repeated: (C,)."""
    height, width = image.shape[1:]
    row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
    i, j = (value.floor().long() for value in (row, column))
    below, right = (i + 1).clamp(max=height - 1), (j + 1).clamp(max=width - 1)
    down, across = row - i, column - j
    top = image[:, i, j] * (1 - across) + image[:, i, right] * across
    bottom = image[:, below, j] * (1 - across) + image[:, below, right] * across
    return top * (1 - down) + bottom * down


@pytest.mark.parametrize("dynamic_scope", [False, True])
@pytest.mark.parametrize("out_channels", [8, 4])
def test_dysample_samples_at_its_points(dynamic_scope, out_channels):
    """Liu et al.: offset = 0.25 * linear(x), or 0.5 * sigmoid(linear(x)) * linear(x), around the bilinear positions."""
    layer, x = example("dysample", out_channels=out_channels, groups=2, dynamic_scope=dynamic_scope)
    scope = 0.5 * layer.scope(x).sigmoid() if dynamic_scope else 0.25
    offset = (layer.offset(x) * scope).unflatten(1, (2, 2, 4))  # group, (x, y), phase
    source = (x if layer.projection is None else F.conv2d(x, layer.projection)).unflatten(1, (2, -1))
    y = layer(x).unflatten(1, (2, -1))
    for phase, (p, q) in enumerate(phases(2, 2)):
        for n, group, i, j in itertools.product(range(2), range(2), range(5), range(4)):
            dx, dy = offset[n, group, :, phase, i, j]
            expected = bilinear_at(source[n, group], i + dy + p / 2 - 0.25, j + dx + q / 2 - 0.25)
            torch.testing.assert_close(y[n, group, :, 2 * i + p, 2 * j + q], expected)


def test_dysample_refuses_a_remainder():
    with pytest.raises(ValueError, match="out_channels must be a multiple of groups 4, got 6"):
        build("dysample", 4, 6)


MATCHABLE = [name for name in LAYERS if name not in ("matched", "pixel_dcl")]


@pytest.mark.parametrize("base", MATCHABLE)
@pytest.mark.parametrize("match", ["parameters", "flops"])
def test_matched_costs_what_pixel_dcl_costs(base, match):
    """As near as one step of the width allows."""
    layer, goal = build("matched", 64, 64, base=base, match=match), build("pixel_dcl", 64, 64)
    costs = [
        sum(p.numel() for p in one.parameters()) if match == "parameters" else one.multiply_adds()
        for one in (layer, goal)
    ]
    step = 2 * costs[0] / layer.width + 9 * 64  # bounds the cost of one channel more, were it quadratic in the width
    assert abs(costs[0] - costs[1]) <= step * LAYERS.get(base).in_multiple / 2
    x = torch.randn(1, 64, 3, 3)
    if base == "ipixel_dcl":  # too dear with any input: it makes fewer channels
        assert layer.layer.out_channels == layer.width < 64
        expected = F.conv2d(layer.layer(x), layer.weight)
    else:
        expected = layer.layer(F.conv2d(x, layer.weight, padding=1))
    torch.testing.assert_close(layer(x), expected)


def test_the_width_behind_is_the_nearest():
    goal = build("pixel_dcl", 64, 64).multiply_adds()
    width = build("matched", 64, 64, base="ipixel_dcl").width
    costs = [build("ipixel_dcl", 64, out).multiply_adds() + 4 * 64 * out for out in range(1, 65)]
    assert width == 1 + min(range(64), key=lambda index: abs(costs[index] - goal))


def test_a_layer_that_is_too_dear_cannot_be_matched():
    with pytest.raises(ValueError, match="ipixel_dcl cannot be matched: with one output channel it costs more"):
        build("matched", 2, 2, base="ipixel_dcl")
