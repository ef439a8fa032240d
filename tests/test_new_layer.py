"""A new layer is one file and one line, and everything finds it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, Command, environment

LAYER = r'''
"""A convolution, then nearest-neighbour enlargement."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upbench.layers.base import UpsamplingLayer, init_by_fan_in


class NearestConv(UpsamplingLayer):
    """A convolution, then nearest-neighbour enlargement.

    Args:
        in_channels: channels of the input, at least 1.
        out_channels: channels of the output, at least 1.
        dims: number of spatial dimensions, 2 alone. Default 2.
        scale_factor: up-sampling factor, at least 2. Default 2.
        bias: whether one number an output channel is added, True or False. Default False.

    Source: Odena et al. (2016).
    """

    dims_supported: ClassVar[tuple[int, ...]] = (2,)

    def __init__(
        self, in_channels: int, out_channels: int, *, dims: int = 2, scale_factor: int = 2, bias: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        init_by_fan_in(self.weight, in_channels)

    def upsample(self, x: Tensor) -> Tensor:
        return F.interpolate(F.conv2d(x, self.weight), scale_factor=self.scale_factor)

    def multiply_adds(self) -> int:
        return self.weight.numel()
'''


@pytest.mark.slow
def test_one_file_and_one_line_make_a_layer(tmp_path: Path, upbench: Command) -> None:
    for name in ("bench", "tests", "ablations", "pyproject.toml"):
        source, target = ROOT / name, tmp_path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (tmp_path / "bench" / "upbench" / "layers" / "nearest_conv_of_the_test.py").write_text(LAYER)
    registry = tmp_path / "bench" / "upbench" / "layers" / "__init__.py"
    anchor = '        "pixel_dcl": "upbench.layers.pixel_dcl:PixelDCL",\n'
    line = '        "my_nearest": "upbench.layers.nearest_conv_of_the_test:NearestConv",\n'
    text = registry.read_text()
    assert anchor in text
    registry.write_text(text.replace(anchor, anchor + line))

    assert "my_nearest" in upbench("list", root=tmp_path).stdout
    (tmp_path / "tiny.toml").write_text(TINY.replace('"pixel_dcl"', '"my_nearest"'))
    done = upbench("run", "tiny.toml", "--out", "out", "--only", "seed=0", root=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "my_nearest" in (tmp_path / "out" / "tables" / "quality.md").read_text()
    conformance = subprocess.run(
        [sys.executable, "-m", "pytest", "-k", "my_nearest", "tests/layers/test_conformance.py", "tests/models"],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert conformance.returncode == 0, conformance.stdout
    assert "passed" in conformance.stdout
