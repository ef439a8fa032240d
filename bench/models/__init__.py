"""Networks whose up-sampling is swapped, by name. A new network is one file here and one line in `MODELS`.

A network is a `bench.models.base.Network` `(up, in_channels, out_channels, size, *, options)`, where
`up(in_channels, out_channels, dims=2)` makes a x2 up-sampling layer and `size` is the side of its images in pixels.
Its `role` says which tasks can use it: "layer", a bare layer; "dense", images to maps of their size; "autoencoder",
images to (reconstruction, mean, log variance), with `decode`; "gan", codes to images, with `discriminator`.
"""

from __future__ import annotations

from bench.registry import Registry

MODELS = Registry(
    "model",
    {
        "single": "bench.models.single:Single",
        "unet": "bench.models.unet:UNet",
        "deeplab": "bench.models.deeplab:DeepLab",
        "vae": "bench.models.vae:VAE",
        "dcgan": "bench.models.dcgan:DCGAN",
        "sngan": "bench.models.sngan:SNGAN",
    },
)
