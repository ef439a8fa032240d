"""How far generated images are from real ones in the features of a network, by torch-fidelity.

Which network is an `Extractor`: one file that makes the metrics of one (`effnet.py`, `inception.py`) and one line in
`METRICS`. Every figure is named by its extractor, as figures by different ones do not compare.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from bench.data import cache
from bench.metrics.base import Metric, always
from bench.torchvision_shim import allow_torchvision

allow_torchvision()

import torch_fidelity  # noqa: E402 - it imports torchvision
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric  # noqa: E402
from torch_fidelity.metric_isc import isc_features_to_metric  # noqa: E402
from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: E402
from torch_fidelity.metric_prc import prc_features_to_metric  # noqa: E402
from torch_fidelity.utils import create_feature_extractor, get_featuresdict_from_dataset  # noqa: E402

BATCH = 64
SUBSETS, SUBSET_SIZE = 50, 100
NEIGHBOURHOOD = 3


@dataclass(frozen=True)
class Extractor:
    """A network of torch-fidelity's registry. features: its layer for distances. logits: its layer for class scores.

    settings: further arguments it is made with, asked for when it is. check: raises UserError if a file is missing.
    """

    name: str
    features: str
    logits: str
    settings: Callable[[], dict[str, Any]] = dict
    check: Callable[[], None] = always

    def metric(self, compute: Callable[..., float], unit: str, better: Any) -> Metric:
        """One of the functions below as the metric of this extractor."""
        return Metric(compute, "samples", unit, better, fixed={"extractor": self}, check=self.check)


class _Images(Dataset[Tensor]):
    """Images (N, H, W, C) as torch-fidelity reads them; a single channel is repeated to three.

    Equal if their pixels are, so that features are extracted once for all metrics of a cell.
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        if images.shape[-1] not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels, got {images.shape[-1]}")
        self.pixels = images
        self.images = torch.from_numpy(np.ascontiguousarray(images)).movedim(-1, 1).expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]

    def __hash__(self) -> int:
        return hash((self.pixels.shape, self.pixels.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Images) and np.array_equal(self.pixels, other.pixels)


@lru_cache(maxsize=2)
def _network(extractor: Extractor) -> torch_fidelity.FeatureExtractorBase:
    layers = [extractor.features, extractor.logits]
    cuda = torch.cuda.is_available()
    return create_feature_extractor(extractor.name, layers, cuda=cuda, verbose=False, **extractor.settings())


@lru_cache(maxsize=4)
def _extract(extractor: Extractor, images: _Images) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # save_cpu_ram: no loader processes, as the images are in memory
        return get_featuresdict_from_dataset(
            images, _network(extractor), BATCH, cuda=torch.cuda.is_available(), save_cpu_ram=True, verbose=False
        )


def _extract_real(extractor: Extractor, images: _Images) -> dict[str, Tensor]:
    """`_extract` of real images, which all cells of a grid have in common: kept in the cache of decoded data."""
    network = type(_network(extractor))
    device = "cuda" if torch.cuda.is_available() else torch.get_num_threads()
    facts = [extractor.name, extractor.features, extractor.logits, extractor.settings(), torch.__version__, device]
    digest = hashlib.sha256(repr([*facts, images.pixels.shape]).encode())
    digest.update(Path(inspect.getfile(network)).read_bytes() + images.pixels.tobytes())

    def make() -> dict[str, NDArray]:
        return {layer: features.cpu().numpy() for layer, features in _extract(extractor, images).items()}

    arrays = cache.remember(f"features-{digest.hexdigest()[:32]}", make)
    return {layer: torch.from_numpy(features) for layer, features in arrays.items()}


def _features(
    extractor: Extractor, generated: NDArray[np.uint8], real: NDArray[np.uint8], least: int
) -> tuple[Tensor, Tensor]:
    """(N, D) features of generated and (M, D) of real images; ValueError for fewer than `least` on a side."""
    if min(len(generated), len(real)) < least:
        raise ValueError(f"need {least} images a side, got {len(generated)} generated and {len(real)} real")
    ours, theirs = _extract(extractor, _Images(generated)), _extract_real(extractor, _Images(real))
    return ours[extractor.features], theirs[extractor.features]


def kid(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Kernel distance, times 1,000: squared MMD, kernel (x.y / D + 1)^3 on D features, mean of 50 subsets of 100.

    Smaller sets are compared whole. Unbiased, so it may be slightly negative. Source: Binkowski et al.,
    arXiv 1801.01401, section 4. Raises ValueError for fewer than two images.
    """
    ours, theirs = _features(extractor, generated, real, 2)
    size = min(SUBSET_SIZE, len(generated), len(real))
    result = kid_features_to_metric(ours, theirs, kid_subsets=SUBSETS, kid_subset_size=size, verbose=False)
    return 1000 * result[torch_fidelity.KEY_METRIC_KID_MEAN]


def fd(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Frechet distance of two Gaussians fitted to the features; that of Inception-v3 is the FID.

    Biased upwards by small samples: below about 3,000 images use KID. Source: Heusel et al., arXiv 1706.08500,
    section 2. Raises ValueError for fewer than two images.
    """
    ours, theirs = map(fid_features_to_statistics, _features(extractor, generated, real, 2))
    return fid_statistics_to_metric(ours, theirs, False)[torch_fidelity.KEY_METRIC_FID]


def inception_score(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Inception score of the generated images: exp of the mutual information of image and class, 1 to their number.

    Over all samples at once, not the mean of ten splits, which costs small samples still more of their score: a set of
    N scores at most N. The real images play no part. Source: Salimans et al., arXiv 1606.03498, section 4; on splits
    Barratt and Sharma, arXiv 1801.01973, section 4.1.
    """
    logits = _extract(extractor, _Images(generated))[extractor.logits]
    return isc_features_to_metric(logits, splits=1)[torch_fidelity.KEY_METRIC_ISC_MEAN]


def precision(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Share of generated images that lie within the real ones: within a real image's distance to its third neighbour.

    Source: Kynkaanniemi et al., arXiv 1904.06991, section 2, with k = 3. Raises ValueError for fewer than four images.
    """
    return _precision_recall(extractor, generated, real)[torch_fidelity.KEY_METRIC_PRECISION]


def recall(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Share of real images that lie within the generated ones: within one's distance to its third neighbour.

    Source: Kynkaanniemi et al., arXiv 1904.06991, section 2, with k = 3. Raises ValueError for fewer than four images.
    """
    return _precision_recall(extractor, generated, real)[torch_fidelity.KEY_METRIC_RECALL]


def _precision_recall(extractor: Extractor, generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> dict[str, float]:
    ours, theirs = _features(extractor, generated, real, NEIGHBOURHOOD + 1)
    return prc_features_to_metric(ours, theirs, prc_neighborhood=NEIGHBOURHOOD, verbose=False)
