"""Quality metrics by name. A new metric is one file in this folder and one line in `METRICS`.

A network whose features compare images is one file as well, such as `effnet.py`, and one line, `by_features_of`.
"""

from __future__ import annotations

from bench.registry import Registry


def by_features_of(extractor: str, *metrics: str) -> dict[str, str]:
    """`metric_extractor` for each metric: attributes of bench/metrics/`extractor`.py in capitals."""
    return {f"{metric}_{extractor}": f"bench.metrics.{extractor}:{metric.upper()}" for metric in metrics}


METRICS = Registry(
    "metric",
    {
        "pixel_accuracy": "bench.metrics.overlap:PIXEL_ACCURACY",
        "mean_iou": "bench.metrics.overlap:MEAN_IOU",
        "iou": "bench.metrics.overlap:IOU",
        "mean_iou_released": "bench.metrics.overlap:MEAN_IOU_RELEASED",
        "boundary_iou": "bench.metrics.boundary:BOUNDARY_IOU",
        "boundary_f": "bench.metrics.boundary:BOUNDARY_F",
        "trimap_iou": "bench.metrics.boundary:TRIMAP_IOU",
        "reconstruction_rmse": "bench.metrics.reconstruction:RECONSTRUCTION_RMSE",
        "reconstruction_psnr": "bench.metrics.reconstruction:RECONSTRUCTION_PSNR",
        "reconstruction_ssim": "bench.metrics.reconstruction:RECONSTRUCTION_SSIM",
        **by_features_of("effnet", "kid", "fd", "is", "precision", "recall"),
        **by_features_of("inception", "kid", "fid", "is", "precision", "recall"),
        "checkerboard": "bench.metrics.checkerboard:CHECKERBOARD",
        "lattice_energy": "bench.metrics.checkerboard:LATTICE_ENERGY",
        "phase_variance": "bench.metrics.checkerboard:PHASE_VARIANCE",
        "spectral_distance": "bench.metrics.spectrum:SPECTRAL_DISTANCE",
    },
)
