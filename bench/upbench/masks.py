"""What the numbers in a mask of classes mean."""

from __future__ import annotations

VOID = 255
"""The label of pixels that count neither in training nor in evaluation."""
