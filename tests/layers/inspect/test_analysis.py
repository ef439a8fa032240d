"""The analysis of layers against what is known of them by hand."""

from __future__ import annotations

import pytest
import torch
from upbench.layers import LAYERS, build
from upbench.layers.inspect.analysis import (
    ReceptiveField,
    checkerboard_score,
    dependencies,
    impulse_response,
    matrix,
    phase_gains,
    reach,
    receptive_fields,
)
from upbench.layers.phases import phases

F1, F4, F3, F2 = phases(2, 2)


@pytest.mark.parametrize("name", LAYERS)
def test_the_matrix_is_the_layer_where_it_is_linear(name):
    torch.manual_seed(0)
    layer = build(name, 8, 4).double()
    x = torch.randn(1, 8, 3, 2).double()
    if name in ("carafe", "dysample"):
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        with pytest.raises(ValueError, match="not linear"):
            matrix(layer, (3, 2))
    else:
        torch.testing.assert_close((matrix(layer, (3, 2)) @ x.flatten()).view(1, 4, 6, 4), layer(x))


def test_an_activation_makes_a_layer_that_has_no_matrix():
    with pytest.raises(ValueError, match="not linear"):
        matrix(build("pixel_dcl", 2, 2, activation="relu"), (3, 3))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_impulse_response_is_the_transposed_kernel(dims):
    layer = build("transposed_conv", 2, 3, dims=dims, kernel_size=4)
    response = impulse_response(layer)
    start = 2 * reach(layer) - layer.padding
    torch.testing.assert_close(response[(..., *[slice(start, start + 4)] * dims)], layer.weight.detach())
    assert response.ne(0).sum() == layer.weight.numel()


def test_receptive_fields_by_hand():
    """F1 reads 3x3; F2 = c(F1) reads 5x5; F3, between rows, reads F1 above and below and F2 left and right."""
    fields = receptive_fields(build("pixel_dcl", 4, 4))
    assert fields[F1] == ReceptiveField((-1, -1), (1, 1), 9)
    assert fields[F2] == ReceptiveField((-2, -2), (2, 2), 25)
    # F2 at columns -1 and 0 reads rows -2 to 2 and columns -3 to 2
    assert fields[F3] == ReceptiveField((-2, -3), (2, 2), 30)
    assert fields[F4] == ReceptiveField((-3, -2), (2, 2), 30)
    kernel_3 = receptive_fields(build("transposed_conv", 4, 4, kernel_size=3))
    assert sorted(field.pixels for field in kernel_3.values()) == [1, 2, 2, 4]


def test_a_layer_that_reads_far_is_shown_whole():
    """Nine phases one after another, each a convolution of the one before, read farther than one looks at first."""
    layer = build("pixel_dcl", 2, 2, schedule="sequential", scale_factor=3).double()
    fields = receptive_fields(layer)
    far = max(max(map(abs, (*field.first, *field.last))) for field in fields.values())
    assert 6 <= far < reach(layer)
    response = impulse_response(layer)
    assert not response[..., 0, :].any()
    assert response[..., response.shape[-1] // 2, :].any()
    x = torch.ones(1, 2, 8 * far, 8 * far).double()
    away = layer(x)[0, :, 12 * far : 12 * far + 3, 12 * far : 12 * far + 3] - layer(torch.zeros_like(x))[0, :, :3, :3]
    gains = phase_gains(layer)
    torch.testing.assert_close(
        torch.stack([away[:, p[0], p[1]] for p in gains]), torch.stack([g.sum(1) for g in gains.values()])
    )


def test_no_checkerboard_from_nearest_or_bilinear_resize():
    """A constant stays a constant when it is resized, whatever the convolution after it."""
    for name in ("nearest_conv", "bilinear_conv", "bilinear_1x1", "bilinear_additive"):
        assert checkerboard_score(build(name, 8, 4)) < 1e-5
    assert checkerboard_score(build("pixel_shuffle", 8, 4, init="icnr")) < 1e-5


def test_gains_and_score_by_hand():
    layer = build("transposed_conv", 1, 1, kernel_size=2)
    layer.weight.data[:] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert {phase: gain.item() for phase, gain in phase_gains(layer).items()} == {F1: 1, F4: 2, F3: 3, F2: 4}
    assert checkerboard_score(layer) == pytest.approx((1.25 / 7.5) ** 0.5)
    layer.weight.data[:] = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    assert checkerboard_score(layer) == pytest.approx(1)


def test_the_released_start_amplifies_the_late_phases():
    """Its shared kernel has deviation 1: F3 and F4 answer a constant far louder than F1 and F2 do."""
    loudness = {}
    for init in ("equal", "released"):
        torch.manual_seed(0)
        gains = phase_gains(build("pixel_dcl", 64, 64, init=init))
        early, late = (torch.stack([gains[phase] for phase in pair]).square().mean() for pair in ((F1, F2), (F3, F4)))
        loudness[init] = (late / early).sqrt().item()
    assert 0.8 < loudness["equal"] < 1.25
    assert loudness["released"] > 10


def test_dependencies():
    assert dependencies(build("pixel_dcl", 2, 2)) == {F1: ("input",), F2: (F1,), F3: (F1, F2), F4: (F1, F2)}
    assert dependencies(build("ipixel_dcl", 2, 2, schedule="sequential")) == {
        F1: ("input",),
        F2: ("input", F1),
        F3: ("input", F1, F2),
        F4: ("input", F1, F2, F3),
    }
    assert dependencies(build("pixel_shuffle", 2, 2)) == dict.fromkeys(phases(2, 2), ("input",))
