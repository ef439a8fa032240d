"""How far generated images are from real ones in the features of a network, by torch-fidelity.

The network is an `Extractor`: one file makes the metrics of one (`effnet.py`, `inception.py`), and one line in
`METRICS` names them. Every figure is named by its extractor, as figures by different ones do not compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from upbench.metrics.features import Extractor, extract, extract_and_keep

SUBSETS = 50
SUBSET_SIZE = 100
NEIGHBOURHOOD = 3


def kid(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Compute the kernel distance: the squared MMD with the kernel (x.y / D + 1)^3 on D features, times 1,000.

    It is the mean of 50 subsets of 100 images. Smaller sets are compared whole.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.
        extractor: the network.

    Returns:
        The distance in units of 0.001. It is unbiased, so it may be slightly negative.

    Raises:
        ValueError: for fewer than two images on a side.
        UserError: where the weights of the network are not there.

    Source:
        Binkowski et al., arXiv 1801.01401, section 4.
    """
    from upbench.metrics.library import kid_features_to_metric, torch_fidelity

    our_features, real_features = features_of_both(extractor, generated, real, least=2)
    size = min(SUBSET_SIZE, len(generated), len(real))
    result = kid_features_to_metric(
        our_features,
        real_features,
        kid_subsets=SUBSETS,
        kid_subset_size=size,
        verbose=False,
    )
    return 1000 * result[torch_fidelity.KEY_METRIC_KID_MEAN]


def fd(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Compute the Frechet distance of two Gaussians fitted to the features. That of Inception-v3 is the FID.

    It is biased upwards by small samples: below about 3,000 images use the KID.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.
        extractor: the network.

    Returns:
        The squared distance, a pure number, 0 or more.

    Raises:
        ValueError: for fewer than two images on a side.
        UserError: where the weights of the network are not there.

    Source:
        Heusel et al., arXiv 1706.08500, section on the experiments, eq. 6, and appendix A1.
    """
    from upbench.metrics.library import fid_features_to_statistics, fid_statistics_to_metric, torch_fidelity

    our_features, real_features = features_of_both(extractor, generated, real, least=2)
    our_statistics = fid_features_to_statistics(our_features)
    real_statistics = fid_features_to_statistics(real_features)
    result = fid_statistics_to_metric(our_statistics, real_statistics, False)
    return result[torch_fidelity.KEY_METRIC_FID]


def inception_score(
    generated: NDArray[np.uint8],
    real: NDArray[np.uint8],
    *,
    extractor: Extractor,
) -> float:
    """Compute the inception score of the generated images: exp of the mutual information of image and class.

    It is taken over all samples at once. The mean of ten splits would cost small samples still more of their score, as
    a set of N images scores at most N.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images, which play no part.
        extractor: the network, whose classes are meant.

    Returns:
        The score, a pure number, 1 to the number of classes.

    Raises:
        UserError: where the weights of the network are not there.

    Source:
        Salimans et al., arXiv 1606.03498, section 4; on splits Barratt and Sharma, arXiv 1801.01973, section 4.1.
    """
    from upbench.metrics.library import isc_features_to_metric, torch_fidelity

    features = extract(extractor, generated)
    result = isc_features_to_metric(features[extractor.logits], splits=1)
    return result[torch_fidelity.KEY_METRIC_ISC_MEAN]


def precision(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Compute the share of generated images that lie within the real ones.

    An image lies within a set if it is no farther from one of its images than that one's third nearest neighbour in the
    set.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.
        extractor: the network.

    Returns:
        The share, 0 to 1.

    Raises:
        ValueError: for fewer than four images on a side.
        UserError: where the weights of the network are not there.

    Source:
        Kynkaanniemi et al., arXiv 1904.06991, section 2, eq. 1 and 2, with k = 3.
    """
    from upbench.metrics.library import torch_fidelity

    shares = precision_and_recall(generated, real, extractor)
    return shares[torch_fidelity.KEY_METRIC_PRECISION]


def recall(generated: NDArray[np.uint8], real: NDArray[np.uint8], *, extractor: Extractor) -> float:
    """Compute the share of real images that lie within the generated ones, as `precision` says.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.
        extractor: the network.

    Returns:
        The share, 0 to 1.

    Raises:
        ValueError: for fewer than four images on a side.
        UserError: where the weights of the network are not there.

    Source:
        Kynkaanniemi et al., arXiv 1904.06991, section 2, eq. 1 and 2, with k = 3.
    """
    from upbench.metrics.library import torch_fidelity

    shares = precision_and_recall(generated, real, extractor)
    return shares[torch_fidelity.KEY_METRIC_RECALL]


def precision_and_recall(
    generated: NDArray[np.uint8],
    real: NDArray[np.uint8],
    extractor: Extractor,
) -> dict[str, float]:
    """Compute precision and recall, by torch-fidelity's names of them."""
    from upbench.metrics.library import prc_features_to_metric

    our_features, real_features = features_of_both(extractor, generated, real, least=NEIGHBOURHOOD + 1)
    return prc_features_to_metric(our_features, real_features, prc_neighborhood=NEIGHBOURHOOD, verbose=False)


def features_of_both(
    extractor: Extractor,
    generated: NDArray[np.uint8],
    real: NDArray[np.uint8],
    *,
    least: int,
) -> tuple[Tensor, Tensor]:
    """Extract the features of two sets of images.

    Args:
        extractor: the network.
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.
        least: the number of images that are needed on each side.

    Returns:
        float32 (N, D) and (M, D).

    Raises:
        ValueError: for fewer than `least` images on a side.
    """
    fewer = min(len(generated), len(real))
    if fewer < least:
        raise ValueError(f"need {least} images a side, got {len(generated)} generated and {len(real)} real")
    our_features = extract(extractor, generated)
    real_features = extract_and_keep(extractor, real)
    return our_features[extractor.features], real_features[extractor.features]
