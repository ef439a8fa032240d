"""Networks whose up-sampling is swapped, by name. A new network is one file here and one line in `MODELS`.

A network is a `upbench.models.base.Network`, built as `(up, in_channels, out_channels, size, *, options)`:

- `up(in_channels, out_channels, dims=2)` makes a layer that up-samples by 2;
- `size` is the side of its images in pixels, or one side a dimension, such as (height, width);
- the keyword-only parameters are its options.

Its `role` says which tasks can use it:

- "layer": a bare layer;
- "dense": images to maps of their size;
- "autoencoder": images to (reconstruction, mean, log variance), with `decode`;
- "gan": codes to images, with `discriminator`.
"""

from __future__ import annotations

from upbench.registry import Registry

MODELS = Registry(
    "model",
    {
        "single": "upbench.models.single:Single",
        "unet": "upbench.models.unet:UNet",
        "deeplab": "upbench.models.deeplab:DeepLab",
        "vae": "upbench.models.vae:VAE",
        "dcgan": "upbench.models.dcgan:DCGAN",
        "sngan": "upbench.models.sngan:SNGAN",
    },
    needs=("role",),
)
