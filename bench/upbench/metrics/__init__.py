"""Quality metrics by name. A new metric is one file in this folder and one line in `METRICS`.

A network whose features compare images is one file as well, such as `effnet.py`, and one line, `by_features_of`.
"""

from __future__ import annotations

from upbench.registry import Registry


def by_features_of(extractor: str, *metrics: str) -> dict[str, str]:
    """Make the lines of the metrics of one extractor.

    Args:
        extractor: the name of its file in this folder, without `.py`.
        metrics: the names of its metrics, which are attributes of that file in capitals.

    Returns:
        "module:ATTRIBUTE" by the name `metric_extractor`.
    """
    lines = {}
    for metric in metrics:
        lines[f"{metric}_{extractor}"] = f"upbench.metrics.{extractor}:{metric.upper()}"
    return lines


METRICS = Registry(
    "metric",
    {
        # of masks
        "pixel_accuracy": "upbench.metrics.overlap:PIXEL_ACCURACY",
        "mean_iou": "upbench.metrics.overlap:MEAN_IOU",
        "iou": "upbench.metrics.overlap:IOU",
        "mean_iou_released": "upbench.metrics.overlap:MEAN_IOU_RELEASED",
        "boundary_iou": "upbench.metrics.boundary:BOUNDARY_IOU",
        "boundary_f": "upbench.metrics.boundary:BOUNDARY_F",
        "trimap_iou": "upbench.metrics.boundary:TRIMAP_IOU",
        # of reconstructions
        "reconstruction_rmse": "upbench.metrics.reconstruction:RECONSTRUCTION_RMSE",
        "reconstruction_psnr": "upbench.metrics.reconstruction:RECONSTRUCTION_PSNR",
        "reconstruction_ssim": "upbench.metrics.reconstruction:RECONSTRUCTION_SSIM",
        # of samples, in the features of a network
        **by_features_of("effnet", "kid", "fd", "is", "precision", "recall"),
        **by_features_of("inception", "kid", "fid", "is", "precision", "recall"),
        # of samples, in their own pixels
        "checkerboard": "upbench.metrics.checkerboard:CHECKERBOARD",
        "lattice_energy": "upbench.metrics.checkerboard:LATTICE_ENERGY",
        "phase_variance": "upbench.metrics.checkerboard:PHASE_VARIANCE",
        "spectral_distance": "upbench.metrics.spectrum:SPECTRAL_DISTANCE",
    },
    needs=("compute", "compares", "unit", "better"),
)
