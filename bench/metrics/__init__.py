"""Quality metrics by name. A new metric is one file in this folder and one line in `METRICS`."""

from __future__ import annotations

from bench.registry import Registry

METRICS = Registry(
    "metric",
    {
        "pixel_accuracy": "bench.metrics.overlap:PIXEL_ACCURACY",
        "mean_iou": "bench.metrics.overlap:MEAN_IOU",
        "boundary_iou": "bench.metrics.boundary:BOUNDARY_IOU",
        "reconstruction_rmse": "bench.metrics.reconstruction:RECONSTRUCTION_RMSE",
        "kid_effnet": "bench.metrics.fidelity:KID",
        "fd_effnet": "bench.metrics.fidelity:FD",
        "checkerboard": "bench.metrics.checkerboard:CHECKERBOARD",
    },
)
