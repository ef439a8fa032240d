"""Up-sampling layers by name. A new layer is one file in this folder and one line in `LAYERS`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.registry import Registry

if TYPE_CHECKING:
    from bench.layers.base import UpsamplingLayer
    from bench.layers.drop_in import swap
    from bench.layers.released import load_released

__all__ = ["LAYERS", "build", "load_released", "swap"]

LAYERS = Registry(
    "layer",
    {
        "transposed_conv": "bench.layers.transposed:TransposedConv",
        "pixel_shuffle": "bench.layers.subpixel:SubPixelConv",
        "ipixel_dcl": "bench.layers.pixel_dcl:IPixelDCL",
        "pixel_dcl": "bench.layers.pixel_dcl:PixelDCL",
        "nearest_conv": "bench.layers.resize:NearestConv",
        "bilinear_conv": "bench.layers.resize:BilinearConv",
        "bilinear_1x1": "bench.layers.resize:Bilinear1x1",
        "bilinear_additive": "bench.layers.resize:BilinearAdditive",
        "carafe": "bench.layers.carafe:Carafe",
        "dysample": "bench.layers.dysample:DySample",
        "independent_convs": "bench.layers.controls:IndependentConvs",
        "matched": "bench.layers.controls:Matched",
    },
    given=("dims", "factor"),
)

ELSEWHERE = {"load_released": "bench.layers.released", "swap": "bench.layers.drop_in"}


REFERENCE = "transposed_conv"  # what the others are given as a ratio to


def build(
    name: str, in_channels: int, out_channels: int, *, dims: int = 2, factor: int = 2, **options: Any
) -> UpsamplingLayer:
    """The layer registered as `name`: (N, in_channels, *S) -> (N, out_channels, *(factor * s for s in S)).

    dims: number of spatial dimensions, 1 to 3. factor: up-sampling factor, 2 or more, the same in each dimension.
    options: the layer's own, see `upbench list`.
    Raises UserError for an unknown name or option, ValueError for numbers the layer cannot be built with.
    """
    options = LAYERS.complete(name, options)
    return LAYERS.build(name, in_channels, out_channels, dims=dims, factor=factor, **options)


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for, so that listing the layers does not."""
    if name not in ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(ELSEWHERE[name]), name)
