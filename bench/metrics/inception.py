"""The true FID and its kin: distances and scores by Inception-v3, whose weights the user has to bring.

UPBENCH_INCEPTION names the file, torch-fidelity's weights-inception-2015-12-05-6726825d.pth; nothing is downloaded.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError
from bench.metrics import fidelity

VARIABLE = "UPBENCH_INCEPTION"


def weights() -> Path:
    """The file that UPBENCH_INCEPTION names. Raises UserError if it names none."""
    named = os.environ.get(VARIABLE, "")
    if not named:
        raise UserError(
            f"metrics by Inception-v3 need its weights: set {VARIABLE} to torch-fidelity's "
            "weights-inception-2015-12-05-6726825d.pth, or take the metrics by EfficientNet, such as kid_effnet"
        )
    if not Path(named).is_file():
        raise UserError(f"{VARIABLE} = {named!r} is not a file; it must be the weights of Inception-v3")
    return Path(named)


def settings() -> dict[str, Any]:
    """Where torch-fidelity reads the weights. Raises UserError if the file holds anything but tensors."""
    path = weights()
    try:  # torch-fidelity would unpickle whatever the file holds
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{VARIABLE} = {str(path)!r} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(tensors, dict) or "Mixed_7c.branch_pool.conv.weight" not in tensors:
        raise UserError(f"{VARIABLE} = {str(path)!r} does not hold torch-fidelity's weights of Inception-v3")
    return {"feature_extractor_weights_path": str(path)}


def check() -> None:
    """Raises UserError if there are no weights."""
    weights()


EXTRACTOR = fidelity.Extractor("inception-v3-compat", "2048", "logits_unbiased", settings, check)

KID = EXTRACTOR.metric(fidelity.kid, "1e-3", "lower")
FID = EXTRACTOR.metric(fidelity.fd, "1", "lower")
IS = EXTRACTOR.metric(fidelity.inception_score, "1", "higher")
PRECISION = EXTRACTOR.metric(fidelity.precision, "1", "higher")
RECALL = EXTRACTOR.metric(fidelity.recall, "1", "higher")
