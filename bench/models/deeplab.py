"""DeepLab v3 on a ResNet, with the layer under test where the original enlarges its logits by interpolation."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

from torch import Tensor, nn

from bench.models.base import Network, Up, check_size, conv_block, up_block
from bench.torchvision_shim import allow_torchvision

allow_torchvision()

from torchvision.models import get_model  # noqa: E402
from torchvision.models.segmentation.deeplabv3 import ASPP  # noqa: E402

Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
DILATED = ("resnet50", "resnet101")  # torchvision dilates bottleneck blocks alone
NARROWEST = 16


class DeepLab(Network):
    """DeepLab v3, x2 layers to full size: (N, in_channels, size, size) -> logits (N, out_channels, size, size).

    The ResNet, from random weights, ends at 1 / output_stride of the size: its last stages dilate where they would
    halve. Atrous spatial pyramid pooling to `channels` channels, with rates of 96, 192 and 288 pixels of the input, and
    a 3x3 convolution. Then the layer under test, batch normalisation and ReLU as often as it takes to come back to full
    size, and a 1x1 convolution. Each layer halves the channels, but not below 16 or, if that is fewer, `channels`.
    In training a batch needs two images: the pooling normalises one number an image and channel.
    Source: Chen et al., arXiv 1706.05587, section 3; ResNet and pooling from torchvision.
    Raises ValueError unless size is a multiple of output_stride, and for an output_stride below 32 of ResNet-18 and 34.
    """

    role: ClassVar[str] = "dense"

    def __init__(
        self,
        up: Up,
        in_channels: int,
        out_channels: int,
        size: int,
        *,
        backbone: Backbone = "resnet50",
        output_stride: Literal[8, 16, 32] = 16,
        channels: int = 256,
    ) -> None:
        super().__init__((in_channels, size, size))
        if output_stride < 32 and backbone not in DILATED:
            raise ValueError(f"output_stride of {backbone} must be 32, got {output_stride}: only {DILATED} can dilate")
        halvings = output_stride.bit_length() - 1
        check_size(size, halvings)
        dilate = [False, output_stride < 16, output_stride < 32]
        resnet = get_model(backbone, weights=None, replace_stride_with_dilation=dilate)
        resnet.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(resnet.conv1.weight, mode="fan_out", nonlinearity="relu")
        *stages, _, classifier = resnet.children()
        self.features = nn.Sequential(*stages)
        rates = [96 * step // output_stride for step in (1, 2, 3)]
        self.context = nn.Sequential(ASPP(classifier.in_features, rates, channels), *conv_block(channels, channels))
        widths = [channels, *(max(channels >> step, min(channels, NARROWEST)) for step in range(1, halvings + 1))]
        self.stages = nn.Sequential(*(layer for a, b in pairwise(widths) for layer in up_block(up, a, b)))
        self.head = nn.Conv2d(widths[-1], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.context(self.features(x))))
