"""Lets torchvision import beside a torch build whose index it does not come from."""

from __future__ import annotations

import torch

SCHEMAS = ("nms", "qnms")


def allow_torchvision() -> None:
    """Declare torchvision's compiled operators where its binary lacks them, so that the rest of it imports.

    A CUDA build of torchvision next to a CPU build of torch cannot load its binary and then fails at import with
    "operator torchvision::nms does not exist". The declared operators have no implementation: calling one raises.
    """
    for name in SCHEMAS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
