"""A new layer is one file and one line, and everything finds it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, TINY, Command, environment

LAYER = '''
"""A convolution, then nearest-neighbour enlargement."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.base import UpsamplingLayer, init_by_fan_in


class NearestConv(UpsamplingLayer):
    """Odena et al. (2016)."""

    dims_supported: ClassVar[tuple[int, ...]] = (2,)

    def __init__(
        self, in_channels: int, out_channels: int, *, dims: int = 2, factor: int = 2, bias: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        init_by_fan_in(self.weight, in_channels)

    def upsample(self, x: Tensor) -> Tensor:
        return F.interpolate(F.conv2d(x, self.weight), scale_factor=self.factor)

    def multiply_adds(self) -> int:
        return self.weight.numel()
'''


def test_one_file_and_one_line_make_a_layer(tmp_path: Path, upbench: Command) -> None:
    for name in ("bench", "tests", "ablations", "pyproject.toml"):
        source, target = ROOT / name, tmp_path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (tmp_path / "bench" / "layers" / "nearest_conv_of_the_test.py").write_text(LAYER)
    registry = tmp_path / "bench" / "layers" / "__init__.py"
    anchor = '        "pixel_dcl": "bench.layers.pixel_dcl:PixelDCL",\n'
    line = '        "my_nearest": "bench.layers.nearest_conv_of_the_test:NearestConv",\n'
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
