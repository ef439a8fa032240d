"""The transposed convolution against its two definitions: interleaved convolutions, and the matrix M^T."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from upbench.layers import build
from upbench.layers.phases import phases

KERNELS = pytest.mark.parametrize("kernel_size", [2, 3, 4, 6])


@KERNELS
def test_is_four_interleaved_convolutions(kernel_size):
    """Output row o = 2 i + t - padding for input row i and tap t: phase p sees the taps of one parity."""
    torch.manual_seed(0)
    layer, x = build("transposed_conv", 3, 5, kernel_size=kernel_size).double(), torch.randn(2, 3, 4, 7).double()
    y = layer(x)
    for phase in phases(2, 2):
        # input i = (o + padding - t) / 2 for output o = 2 j + p, largest tap first so that i rises
        taps = [[t for t in reversed(range(kernel_size)) if (p + layer.padding - t) % 2 == 0] for p in phase]
        starts = [[(p + layer.padding - t) // 2 for t in axis] for p, axis in zip(phase, taps, strict=True)]
        weight = layer.weight.transpose(0, 1)[:, :, taps[0]][:, :, :, taps[1]]
        border = [(-axis[0], axis[-1]) for axis in starts]
        expected = F.conv2d(F.pad(x, (*border[1], *border[0])), weight)
        torch.testing.assert_close(y[:, :, phase[0] :: 2, phase[1] :: 2], expected)


@KERNELS
@pytest.mark.parametrize("dims", [1, 2])
def test_is_the_transpose_of_the_convolution(kernel_size, dims):
    """x = M^T y for the convolution y = M x of stride 2: column by column of M."""
    torch.manual_seed(0)
    layer = build("transposed_conv", 2, 3, dims=dims, kernel_size=kernel_size).double()
    small, large = (2, *(3, 4)[:dims]), (3, *(6, 8)[:dims])
    convolve = {1: F.conv1d, 2: F.conv2d}[dims]

    def columns(function, size):
        count = torch.Size(size).numel()
        return function(torch.eye(count).double().view(count, *size)).reshape(count, -1).T

    m = columns(lambda y: convolve(y, layer.weight, stride=2, padding=layer.padding), large)
    assert torch.equal(columns(layer, small).ne(0), m.T.ne(0))
    torch.testing.assert_close(columns(layer, small), m.T)


@pytest.mark.parametrize(("kernel_size", "taps"), [(2, [1, 1, 1, 1]), (3, [1, 2, 2, 4]), (4, [4] * 4), (6, [9] * 4)])
def test_taps_of_the_phases(kernel_size, taps):
    impulses = torch.eye(49).view(49, 1, 7, 7)
    reads = build("transposed_conv", 1, 1, kernel_size=kernel_size)(impulses).ne(0).sum((0, 1))
    assert sorted(reads[6 + i, 6 + j].item() for i, j in itertools.product(range(2), repeat=2)) == taps


def test_a_kernel_that_leaves_holes_is_refused():
    with pytest.raises(ValueError, match="kernel_size must be at least the scale_factor 3"):
        build("transposed_conv", 1, 1, scale_factor=3, kernel_size=2)
