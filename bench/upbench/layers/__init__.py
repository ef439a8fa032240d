"""Up-sampling layers by name. A new layer is one file in this folder and one line in `LAYERS`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from upbench.registry import Registry

if TYPE_CHECKING:
    from upbench.layers.base import UpsamplingLayer
    from upbench.layers.drop_in import swap
    from upbench.layers.released import load_released

__all__ = ["LAYERS", "build", "load_released", "swap"]

LAYERS = Registry(
    "layer",
    {
        "transposed_conv": "upbench.layers.transposed:TransposedConv",
        "pixel_shuffle": "upbench.layers.subpixel:PixelShuffle",
        "ipixel_dcl": "upbench.layers.pixel_dcl:IPixelDCL",
        "pixel_dcl": "upbench.layers.pixel_dcl:PixelDCL",
        "nearest_conv": "upbench.layers.resize:NearestConv",
        "bilinear_conv": "upbench.layers.resize:BilinearConv",
        "bilinear_1x1": "upbench.layers.resize:Bilinear1x1",
        "bilinear_additive": "upbench.layers.resize:BilinearAdditive",
        "carafe": "upbench.layers.carafe:CARAFE",
        "dysample": "upbench.layers.dysample:DySample",
        "independent_convs": "upbench.layers.controls:IndependentConvs",
        "matched": "upbench.layers.controls:Matched",
    },
    given=("dims", "scale_factor"),
    needs=("forward",),
)

REFERENCE = "transposed_conv"  # the layer to which the others are given as a ratio

# these import torch, so their modules are imported when they are first asked for: listing the layers needs no torch
MODULE_OF = {"load_released": "upbench.layers.released", "swap": "upbench.layers.drop_in"}


def build(
    name: str, in_channels: int, out_channels: int, *, dims: int = 2, scale_factor: int = 2, **options: Any
) -> UpsamplingLayer:
    """Build the layer `name`, which maps (N, in_channels, *S) to (N, out_channels, *(scale_factor * s for s in S)).

    Args:
        name: A registered layer, see `upbench list`, or a layer of the user's own as "package.module:Class".
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions of the input, 1 to 3.
        scale_factor: Up-sampling factor in each dimension, 2 or more.
        **options: Options of the layer's own, which its class documents.

    Returns:
        The layer with new weights, drawn from torch's default generator.

    Raises:
        UserError: The name or an option is unknown, or the value of an option is of the wrong type.
        ValueError: The layer cannot be built with these numbers.
    """
    options = LAYERS.complete(name, options)
    return LAYERS.build(name, in_channels, out_channels, dims=dims, scale_factor=scale_factor, **options)


def __getattr__(name: str) -> Any:
    """Import a function that needs torch when it is first asked for."""
    if name not in MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(MODULE_OF[name]), name)
