"""`swap` on networks that nobody here wrote, and its report."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from upbench.layers import build, swap
from upbench.layers.drop_in import TRANSPOSED
from upbench.torchvision_shim import allow_torchvision

allow_torchvision()


class Keypoints(nn.Module):
    """The keypoint head and predictor of torchvision's Keypoint R-CNN, whose predictor ends in a transposed conv."""

    def __init__(self) -> None:
        super().__init__()
        rcnn = pytest.importorskip("torchvision.models.detection.keypoint_rcnn")
        self.head = rcnn.KeypointRCNNHeads(8, (8, 8))
        self.predictor = rcnn.KeypointRCNNPredictor(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.predictor(self.head(x))


def keypoint_rcnn() -> tuple[nn.Module, torch.Tensor]:
    return Keypoints(), torch.randn(2, 8, 6, 5)


def mask_rcnn_predictor() -> tuple[nn.Module, torch.Tensor]:
    predictor = pytest.importorskip("torchvision.models.detection.mask_rcnn").MaskRCNNPredictor(8, 16, 3)
    return predictor, torch.randn(2, 8, 6, 5)


def linknet() -> tuple[nn.Module, torch.Tensor]:
    smp = pytest.importorskip("segmentation_models_pytorch")
    return smp.Linknet("resnet18", encoder_weights=None, classes=3), torch.randn(2, 3, 64, 96)


def dpt() -> tuple[nn.Module, torch.Tensor]:
    smp = pytest.importorskip("segmentation_models_pytorch")
    network = smp.DPT("tu-vit_tiny_patch16_224.augreg_in21k", encoder_weights=None, classes=3, dynamic_img_size=True)
    return network, torch.randn(2, 3, 64, 64)


@pytest.mark.parametrize("make", [keypoint_rcnn, mask_rcnn_predictor, linknet, dpt])
@pytest.mark.parametrize("name", ["pixel_dcl", "pixel_shuffle"])
def test_a_swapped_network_trains_a_step(make: Callable[[], tuple[nn.Module, torch.Tensor]], name: str):
    torch.manual_seed(0)
    network, x = make()
    shape = network(x).shape
    suitable = [m for m in network.modules() if isinstance(m, TRANSPOSED) and set(m.stride) == {2}]
    report = swap(network, name)
    assert len(report.replaced) == len(suitable) > 0
    assert not [m for m in network.modules() if m in suitable]
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    before = {key: value.clone() for key, value in network.named_parameters()}
    y = network(x)
    assert y.shape == shape
    y.square().mean().backward()
    optimizer.step()
    inside = [key for key, _ in network.named_parameters() if any(key.startswith(one.name) for one in report.replaced)]
    assert inside
    assert all(not torch.equal(before[key], network.get_parameter(key)) for key in inside)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    ("kernel", "padding", "output"), [(2, 0, 0), (3, 1, 1), (4, 1, 0), (3, 0, 0), (5, 1, 0), (3, 1, 0)]
)
def test_shapes_are_kept(dims, kernel, padding, output):
    convolution = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dims]
    network = nn.Sequential(convolution(4, 2, kernel, stride=2, padding=padding, output_padding=output))
    x = torch.randn(2, 4, *(5, 4, 3)[:dims])
    shape = network(x).shape
    swap(network, "pixel_dcl")
    assert network(x).shape == shape


def test_the_report_says_what_was_left_and_why():
    network = nn.ModuleDict(
        {
            "good": nn.ConvTranspose2d(4, 4, 2, stride=2),
            "four": nn.ConvTranspose2d(4, 4, 4, stride=4),
            "mixed": nn.ConvTranspose2d(4, 4, 2, stride=(2, 1)),
            "grouped": nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2),
            "dilated": nn.ConvTranspose2d(4, 4, 2, stride=2, dilation=2),
            "normed": nn.utils.parametrizations.spectral_norm(nn.ConvTranspose2d(4, 4, 2, stride=2)),
            "flat": nn.ConvTranspose1d(4, 4, 2, stride=2),
            "other": nn.Conv2d(4, 4, 1),
        }
    )
    report = swap(network, "carafe")
    assert [one.name for one in report.replaced] == ["good"]
    assert {one.name: one.reason for one in report.left} == {
        "four": "stride (4, 4), not 2",
        "mixed": "stride (2, 1), not 2",
        "grouped": "2 groups",
        "dilated": "dilation (2, 2)",
        "normed": "it has a parametrization or a hook, which would be lost",
        "flat": "dims must be 2 for CARAFE, got 1",
    }
    assert "four: ConvTranspose2d(4, 4, kernel_size=(4, 4), stride=(4, 4)) left: stride (4, 4), not 2" in str(report)
    assert "good: ConvTranspose2d(4, 4, kernel_size=(2, 2), stride=(2, 2)) -> CARAFE(4, 4, dims=2, " in str(report)


def test_the_report_shows_the_options_of_every_layer():
    """Also of a layer with modules inside it, and of one whose output is made to fit."""
    network = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, stride=2), nn.ConvTranspose2d(4, 4, 3, stride=2, bias=False))
    report = swap(network, "pixel_dcl", kernel_size=5, schedule="sequential")
    plain = "PixelDCL(4, 4, dims=2, scale_factor=2, kernel_size=5, schedule='sequential'"
    assert [one.now for one in report.replaced] == [
        f"{plain}, bias=True)",
        f"Fitted({plain}), extra=(1, 1))",
    ]


def test_bias_dtype_mode_and_sharing_are_kept():
    shared = nn.ConvTranspose2d(4, 4, 2, stride=2, bias=False, dtype=torch.double).eval()
    network = nn.Sequential(shared, nn.ReLU(), shared, nn.ConvTranspose2d(4, 4, 2, stride=2)).eval()
    swap(network, "pixel_dcl", kernel_size=5)
    assert network[0] is network[2]
    assert (network[0].bias, network[0].kernel_size, network[0].training) == (None, 5, False)
    assert {p.dtype for p in network[0].parameters()} == {torch.double}
    assert network[3].bias is not None


def test_a_bare_layer_is_refused():
    with pytest.raises(ValueError, match="itself"):
        swap(nn.ConvTranspose2d(4, 4, 2, stride=2), "pixel_dcl")


def test_swapping_in_a_transposed_convolution_can_keep_the_values():
    """The swapped layer is a true drop-in: with the old weights a 4x4 transposed convolution gives the old output."""
    network = nn.Sequential(nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1))
    x, old = torch.randn(1, 3, 4, 6), network[0]
    expected = network(x)
    swap(network, "transposed_conv", kernel_size=4)
    network[0].load_state_dict(old.state_dict())
    torch.testing.assert_close(network(x), expected)
    assert isinstance(network[0], type(build("transposed_conv", 1, 1)))
