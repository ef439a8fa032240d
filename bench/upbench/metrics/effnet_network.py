"""EfficientNet-Lite0 as torch-fidelity takes a network."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

from upbench.metrics.effnet import FEATURES, LOGITS, NAME
from upbench.metrics.library import torch_fidelity

SIDE = 128  # images are enlarged to this: the network was trained on larger ones, and 224 would cost three times more


class EfficientNetLite0(torch_fidelity.FeatureExtractorBase):
    """uint8 (N, 3, H, W) -> pooled features (N, 1280) before the classifier, its logits (N, 1000); ImageNet weights."""

    def __init__(self, layers: list[str], weights: Path) -> None:
        super().__init__(NAME, layers)
        self.network = EfficientNet.from_name("efficientnet-lite0")
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
        self.network.load_state_dict(tensors)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Name the layers that can be asked for."""
        return FEATURES, LOGITS

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the values of the layers that were asked for, in their order."""
        # the scale on which the weights were trained
        scaled = (images.float() - 127) / 128
        enlarged = F.interpolate(scaled, (SIDE, SIDE), mode="bilinear", align_corners=False)
        maps = self.network.extract_features(enlarged)
        pooled = maps.mean((2, 3))
        # without the dropout before it, which does nothing in evaluation
        logits = self.network._fc(pooled)
        values = {FEATURES: pooled, LOGITS: logits}
        return tuple(values[layer] for layer in self.features_list)
