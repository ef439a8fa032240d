"""torch-fidelity made ready, for functions to import when they run.

It imports torchvision, and that imports torch's compiler. A command that only looks at metrics need not wait for them.
"""

from __future__ import annotations

from upbench.torchvision_shim import allow_torchvision

# before the imports below, or torchvision would fail beside a torch of another index
allow_torchvision()

import torch_fidelity  # noqa: E402
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric  # noqa: E402
from torch_fidelity.metric_isc import isc_features_to_metric  # noqa: E402
from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: E402
from torch_fidelity.metric_prc import prc_features_to_metric  # noqa: E402
from torch_fidelity.utils import get_featuresdict_from_dataset  # noqa: E402

__all__ = [
    "fid_features_to_statistics",
    "fid_statistics_to_metric",
    "get_featuresdict_from_dataset",
    "isc_features_to_metric",
    "kid_features_to_metric",
    "prc_features_to_metric",
    "torch_fidelity",
]
