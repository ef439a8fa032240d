"""DeepLab v3 on a ResNet, with the layer under test where the original enlarges its logits by interpolation."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from upbench.models.base import Network, Size, Up, check_halvings, make_conv_block, make_up_stages, to_sides
from upbench.torchvision_shim import allow_torchvision

allow_torchvision()

from torchvision.models import get_model  # noqa: E402
from torchvision.models.segmentation.deeplabv3 import ASPP  # noqa: E402

Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
DILATED = ("resnet50", "resnet101")  # torchvision dilates bottleneck blocks alone
NARROWEST = 16  # channels below which no layer goes


class DeepLab(Network):
    """DeepLab v3 whose logits the layer under test brings back to full size.

    Images (N, in_channels, H, W) -> logits (N, out_channels, H, W). The ResNet, from random weights, ends at
    1 / output_stride of the size: its last stages dilate where they would halve. Atrous spatial pyramid pooling, with
    rates of 96, 192 and 288 pixels of the input, and a 3x3 convolution. Then the layer under test, batch normalisation
    and ReLU as often as it takes to come back to full size, and a 1x1 convolution. Each layer halves the channels, but
    not below 16 or, if that is fewer, `channels`. In training a batch needs two images: the pooling normalises one
    number an image and channel.

    Source: Chen et al., arXiv 1706.05587, section 3; ResNet and pooling from torchvision.

    Args:
        backbone: the residual network; "resnet18", "resnet34", "resnet50" or "resnet101". Default: "resnet50".
        output_stride: by how much the features are smaller than the image; 8, 16 or 32, with ResNet-18 and 34 only 32.
            Default: 16, as in the source.
        channels: width after the pyramid pooling; at least 1. Default: 256, as in the source.

    Raises:
        ValueError: unless each side is a multiple of output_stride, and for an output_stride that the backbone cannot
            have.
    """

    role: ClassVar[str] = "dense"

    def __init__(
        self,
        up: Up,
        in_channels: int,
        out_channels: int,
        size: Size,
        *,
        backbone: Backbone = "resnet50",
        output_stride: Literal[8, 16, 32] = 16,
        channels: int = 256,
    ) -> None:
        if output_stride < 32 and backbone not in DILATED:
            raise ValueError(f"output_stride of {backbone} must be 32, got {output_stride}: only {DILATED} can dilate")
        sides = to_sides(size, 2)
        halvings = output_stride.bit_length() - 1
        check_halvings(sides, halvings)
        super().__init__((in_channels, *sides))
        # of the last three stages
        dilate = [False, output_stride < 16, output_stride < 32]
        resnet = get_model(backbone, weights=None, replace_stride_with_dilation=dilate)
        # torchvision's first convolution takes three channels; this is its own initialisation
        resnet.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(resnet.conv1.weight, mode="fan_out", nonlinearity="relu")
        # without its pooling and its classifier
        *stages, _, classifier = resnet.children()
        self.features = nn.Sequential(*stages)
        # the same in pixels of the input, whatever the stride
        rates = [96 * step // output_stride for step in (1, 2, 3)]
        pyramid = ASPP(classifier.in_features, rates, channels)
        self.context = nn.Sequential(pyramid, *make_conv_block(channels, channels))
        narrowest = min(channels, NARROWEST)
        narrowing = [max(channels >> step, narrowest) for step in range(1, halvings + 1)]
        self.stages = make_up_stages(up, [channels, *narrowing])
        self.head = nn.Conv2d(narrowing[-1], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the size of x."""
        y = self.features(x)
        y = self.context(y)
        y = self.stages(y)
        return self.head(y)
