"""The true FID and its kin: distances and scores by Inception-v3, whose weights the user has to bring.

UPBENCH_INCEPTION names the file, torch-fidelity's weights-inception-2015-12-05-6726825d.pth; nothing is downloaded.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from upbench.errors import UserError
from upbench.metrics import fidelity
from upbench.metrics.features import Extractor

if TYPE_CHECKING:
    from torch_fidelity import FeatureExtractorBase

VARIABLE = "UPBENCH_INCEPTION"
NAME = "inception-v3-compat"
FEATURES = "2048"
LOGITS = "logits_unbiased"


def find_weights() -> Path:
    """Find the file that UPBENCH_INCEPTION names. Raises UserError if it names none."""
    named = os.environ.get(VARIABLE, "")
    if not named:
        raise UserError(
            f"metrics by Inception-v3 need its weights: set {VARIABLE} to torch-fidelity's "
            "weights-inception-2015-12-05-6726825d.pth, or take the metrics by EfficientNet, such as kid_effnet"
        )
    if not Path(named).is_file():
        raise UserError(f"{VARIABLE} = {named!r} is not a file; it must be the weights of Inception-v3")
    return Path(named)


def build(layers: list[str], weights: Path) -> FeatureExtractorBase:
    """Make torch-fidelity's Inception-v3.

    Args:
        layers: the names of the layers that it returns.
        weights: the file of its weights.

    Returns:
        uint8 (N, 3, H, W) -> a tuple with the values of each layer.

    Raises:
        UserError: if the file holds anything but the tensors of that network.
    """
    # torch-fidelity would unpickle whatever the file holds, so it is read here before
    try:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{VARIABLE} = {str(weights)!r} cannot be read: {reason}") from None
    if not isinstance(tensors, dict) or "Mixed_7c.branch_pool.conv.weight" not in tensors:
        raise UserError(f"{VARIABLE} = {str(weights)!r} does not hold torch-fidelity's weights of Inception-v3")
    from upbench.metrics.library import torch_fidelity

    return torch_fidelity.FeatureExtractorInceptionV3(NAME, layers, feature_extractor_weights_path=str(weights))


EXTRACTOR = Extractor(NAME, FEATURES, LOGITS, build, find_weights)

KID = EXTRACTOR.metric(fidelity.kid, "1e-3", "lower")
FID = EXTRACTOR.metric(fidelity.fd, "1", "lower")
IS = EXTRACTOR.metric(fidelity.inception_score, "1", "higher")
PRECISION = EXTRACTOR.metric(fidelity.precision, "1", "higher")
RECALL = EXTRACTOR.metric(fidelity.recall, "1", "higher")
