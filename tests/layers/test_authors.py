"""Equality with the authors' released TensorFlow layers: their weights, inputs and outputs, 2-D and 3-D."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from upbench.layers import build, load_released

ARRAYS = np.load(Path(__file__).with_name("authors_layers.npz"))
RELEASED = ["pixel_dcl", "ipixel_dcl", "pixel_dcl3d", "ipixel_dcl3d"]


def weights(name: str) -> dict[str, np.ndarray]:
    prefix = f"{name}/w/"
    return {key.removeprefix(prefix): ARRAYS[key] for key in ARRAYS.files if key.startswith(prefix)}


def layer_for(name: str, **options: object) -> torch.nn.Module:
    x, y = ARRAYS[f"{name}/x"], ARRAYS[f"{name}/y"]
    return build(name.removesuffix("3d"), x.shape[-1], y.shape[-1], dims=x.ndim - 2, **options)


@pytest.mark.parametrize("name", RELEASED)
def test_equal_to_the_released_layer(name):
    layer = layer_for(name)
    load_released(layer, weights(name))
    x, expected = (torch.from_numpy(ARRAYS[f"{name}/{key}"]).movedim(-1, 1) for key in "xy")
    assert torch.linalg.norm(layer(x) - expected) < 1e-5 * torch.linalg.norm(expected)


@pytest.mark.parametrize("name", RELEASED)
def test_kernel_five_loads(name):
    """No figures of the authors exist for kernel 5; a 3x3 kernel with a border of zeros is the same layer."""
    small, large = layer_for(name), layer_for(name, kernel_size=5)
    arrays = weights(name)
    load_released(small, arrays)
    load_released(large, {key: np.pad(w, [(1, 1)] * (w.ndim - 2) + [(0, 0)] * 2) for key, w in arrays.items()})
    x = torch.from_numpy(ARRAYS[f"{name}/x"]).movedim(-1, 1)
    expected = small(x)
    assert torch.linalg.norm(large(x) - expected) < 1e-5 * torch.linalg.norm(expected)


def test_the_masked_taps_are_not_read():
    layer, other = layer_for("pixel_dcl"), layer_for("pixel_dcl")
    arrays = weights("pixel_dcl")
    load_released(layer, arrays)
    arrays["conv2/weights"] = arrays["conv2/weights"].copy()
    arrays["conv2/weights"][::2, ::2] = np.nan
    arrays["conv2/weights"][1, 1] = np.nan
    load_released(other, arrays)
    torch.testing.assert_close(list(other.parameters()), list(layer.parameters()))


@pytest.mark.parametrize("name", RELEASED)
def test_what_does_not_fit_is_named_and_nothing_is_changed(name):
    layer = layer_for(name)
    before = [p.clone() for p in layer.parameters()]
    arrays = weights(name)
    last = max(arrays)
    with pytest.raises(ValueError, match=f"array '{last}'.*must be"):
        load_released(layer, arrays | {last: arrays[last][..., :-1]})
    with pytest.raises(ValueError, match=r"needed, one a step; got .*conv1/"):
        load_released(layer, {key: value for key, value in arrays.items() if key != last})
    with pytest.raises(ValueError, match="array 'kernel_0': the authors' names are"):
        load_released(layer, {f"kernel_{index}": value for index, value in enumerate(arrays.values())})
    with pytest.raises(ValueError, match="without a gap"):
        load_released(layer, {key.replace(last[:5], "conv9"): value for key, value in arrays.items()})
    with pytest.raises(ValueError, match=f"array '{last}': must have .* axes"):
        load_released(layer, arrays | {last: arrays[last][0]})
    torch.testing.assert_close(list(layer.parameters()), before)


def test_a_scope_before_the_names_is_no_matter():
    layer, other = layer_for("pixel_dcl"), layer_for("pixel_dcl")
    load_released(layer, weights("pixel_dcl"))
    load_released(other, {f"up1/{key}:0": value for key, value in weights("pixel_dcl").items()})
    torch.testing.assert_close(list(other.parameters()), list(layer.parameters()))


def test_a_layer_the_authors_never_released_is_refused():
    with pytest.raises(ValueError, match="PixelShuffle"):
        load_released(build("pixel_shuffle", 3, 5), weights("pixel_dcl"))
    with pytest.raises(ValueError, match="schedule must be"):
        load_released(layer_for("pixel_dcl", schedule="sequential"), weights("pixel_dcl"))
    with pytest.raises(ValueError, match="scale_factor 3"):
        load_released(layer_for("pixel_dcl", scale_factor=3), weights("pixel_dcl"))
