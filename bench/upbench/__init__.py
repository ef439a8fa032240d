"""upbench: latency, memory and trained quality of learned up-sampling layers, in one table.

The layers serve without the rest. `upbench.PixelDCL(64, 64)` is a `torch.nn.Module`; `upbench.build` makes one by name.
`upbench.swap(network, "pixel_dcl")` puts one in the place of every stride-2 transposed convolution of a network, and
`upbench.analysis` says what a layer does before it is trained. The command `upbench` compares them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from upbench.layers import build
    from upbench.layers.base import UpsamplingLayer
    from upbench.layers.carafe import CARAFE
    from upbench.layers.controls import IndependentConvs, Matched
    from upbench.layers.drop_in import SwapReport, swap
    from upbench.layers.dysample import DySample
    from upbench.layers.inspect import analysis
    from upbench.layers.pixel_dcl import IPixelDCL, PixelDCL
    from upbench.layers.released import load_released
    from upbench.layers.resize import Bilinear1x1, BilinearAdditive, BilinearConv, NearestConv
    from upbench.layers.subpixel import PixelShuffle
    from upbench.layers.transposed import TransposedConv

__all__ = [
    "CARAFE",
    "Bilinear1x1",
    "BilinearAdditive",
    "BilinearConv",
    "DySample",
    "IPixelDCL",
    "IndependentConvs",
    "Matched",
    "NearestConv",
    "PixelDCL",
    "PixelShuffle",
    "SwapReport",
    "TransposedConv",
    "UpsamplingLayer",
    "analysis",
    "build",
    "load_released",
    "swap",
]

# where each name comes from: all of them need torch, which the command's light parts must not wait for
_MODULES = {
    "CARAFE": "upbench.layers.carafe",
    "Bilinear1x1": "upbench.layers.resize",
    "BilinearAdditive": "upbench.layers.resize",
    "BilinearConv": "upbench.layers.resize",
    "DySample": "upbench.layers.dysample",
    "IPixelDCL": "upbench.layers.pixel_dcl",
    "IndependentConvs": "upbench.layers.controls",
    "Matched": "upbench.layers.controls",
    "NearestConv": "upbench.layers.resize",
    "PixelDCL": "upbench.layers.pixel_dcl",
    "PixelShuffle": "upbench.layers.subpixel",
    "SwapReport": "upbench.layers.drop_in",
    "TransposedConv": "upbench.layers.transposed",
    "UpsamplingLayer": "upbench.layers.base",
    "build": "upbench.layers",
    "load_released": "upbench.layers.released",
    "swap": "upbench.layers.drop_in",
}


def __getattr__(name: str) -> Any:
    """Import what stands in `__all__` when it is first asked for."""
    if name == "analysis":
        return importlib.import_module("upbench.layers.inspect.analysis")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
