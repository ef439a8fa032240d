"""Networks whose up-sampling is swapped, by name. A new network is one file here and one line in `MODELS`.

A network is a class `(up, in_channels, out_channels, size, *, options)`, where `up(in_channels, out_channels)` makes
a x2 up-sampling layer and `size` is the side of the square input in pixels. Its `role` says which tasks can use it.
"""

from __future__ import annotations

from bench.registry import Registry

MODELS = Registry(
    "model",
    {
        "single": "bench.models.single:Single",
        "unet": "bench.models.unet:UNet",
        "vae": "bench.models.vae:VAE",
    },
)
