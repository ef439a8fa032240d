"""A user's own layer, network, data set, metric and task, in a file outside any package: no fork, no registration."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from upbench import build, swap
from upbench.errors import UserError
from upbench.grid.load import load_grid

from tests.conftest import Command

PARTS = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from upbench import UpsamplingLayer
from upbench.data.base import Dataset, DataShape, Split
from upbench.metrics.base import Metric
from upbench.models.unet import UNet
from upbench.tasks.segmentation import Segmentation


class MyLayer(UpsamplingLayer):
    """Every pixel four times, after a 1x1 convolution.

    Args:
        gain: a factor on the weights at the start.
    """

    def __init__(self, in_channels, out_channels, *, dims: int = 2, scale_factor: int = 2, bias: bool = False,
                 gain: float = 1.0):
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        self.gain = gain
        self.weight = nn.Parameter(gain * torch.randn(out_channels, in_channels, *[1] * dims) / in_channels**0.5)

    def upsample(self, x):
        convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[self.dims]
        return F.interpolate(convolve(x, self.weight), scale_factor=self.scale_factor)

    def multiply_adds(self):
        return self.weight.numel()


class MyNet(UNet):
    """A U-Net by another name."""


@dataclass(frozen=True, kw_only=True)
class MyData:
    """Random squares."""

    count: int = 6

    def check(self, folder):
        pass

    def shape(self, folder):
        return DataShape(16, 24, 3, 2)

    def load(self, folder=None):
        draw = np.random.default_rng(0)
        def split():
            images = draw.integers(0, 255, (self.count, 16, 24, 3), dtype=np.uint8)
            return Split(images, (images[..., 0] > 127).astype(np.uint8))
        return Dataset(split(), split(), split(), ("dark", "bright"))


def share_of_first(prediction, truth):
    """Share of pixels that are predicted to be of the first class."""
    return float((prediction == 0).mean())


FIRST = Metric(share_of_first, "masks", "1", "higher")


@dataclass(frozen=True, kw_only=True)
class MyTask(Segmentation):
    """Segmentation by another name."""
'''

GRID = """
title = "Mine"
timeout = 120.0
[settings]
task = { name = "./parts.py:MyTask", steps = 2, batch = 2, metrics = ["mean_iou", "./parts.py:FIRST"] }
model = { name = "./parts.py:MyNet", channels = 2, depth = 2 }
data = "my_package.sets:MyData"
[axes]
layer = ["transposed_conv", "./parts.py:MyLayer"]
seed = [0, 1]
[[experiments]]
name = "mine"
[[tables]]
name = "quality"
title = "Quality"
columns = ["mine.mean_iou", "mine../parts.py:FIRST"]
[[figures]]
name = "masks"
kind = "masks"
title = "Masks"
experiment = "mine"
[[figures]]
name = "curves"
kind = "curves"
title = "Curves"
experiment = "mine"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user, who is in it."""
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text("")
    (tmp_path / "my_package" / "sets.py").write_text(PARTS)
    (tmp_path / "mine.toml").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_grid_of_ones_own_parts_runs_and_is_shown(own: Path, upbench: Command) -> None:
    done = upbench("run", "mine.toml", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (own / "out" / "tables" / "quality.md").read_text()
    assert "| MyLayer |" in table
    assert "FIRST" in table
    assert ".py" not in table, "a path is no name to read"
    frame = pd.read_csv(own / "out" / "frame.csv")
    assert set(frame["layer"]) == {"transposed_conv", "MyLayer"}
    assert {path.name for path in (own / "out" / "figures").iterdir()} == {"masks.png", "curves.png"}
    again = upbench("run", "mine.toml", "--out", "out")
    assert "0 cells to run, 4 already there" in again.stdout
    (own / "parts.py").write_text(PARTS.replace("gain * torch.randn", "2 * gain * torch.randn"))
    stale = upbench("run", "mine.toml", "--out", "out", "--dry-run")
    assert "2 cells to run, 2 already there" in stale.stdout
    (own / "parts.py").unlink()
    for command in ("tables", "plots", "status"):
        done = upbench(command, "out")
        assert done.returncode == 0, f"results are read where the parts are not: {done.stderr}"


def test_build_and_swap_take_them(own: Path) -> None:
    layer = build("./parts.py:MyLayer", 3, 5, gain=2.0)
    assert layer(torch.randn(1, 3, 4, 4)).shape == (1, 5, 8, 8)
    network = nn.Sequential(nn.ConvTranspose2d(3, 3, 4, 2, 1))
    report = swap(network, "./parts.py:MyLayer", gain=0.5)
    assert "gain=0.5" in str(report)
    assert type(network[0]).__name__ == "MyLayer"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./part.py:MyLayer", "there is no file"),
        ("./parts.py:MyLayr", "did you mean 'MyLayer'"),
        ("./parts.py:FIRST", "is no layer: it has no forward"),
        ("./broken.py:MyLayer", "line 1 cannot be imported: SyntaxError"),
        ("./raising.py:MyLayer", "cannot be imported: RuntimeError: not today"),
        ("no_package.layers:MyLayer", "cannot be imported: ModuleNotFoundError"),
        ("./parts.py:", "unknown layer"),
        (":MyLayer", "unknown layer"),
        ("./parts.py", "unknown layer"),
        ("", "unknown layer"),
    ],
)
def test_what_is_wrong_with_the_name_of_a_part_is_said(own: Path, name: str, said: str) -> None:
    (own / "broken.py").write_text("class MyLayer(:\n")
    (own / "raising.py").write_text("raise RuntimeError('not today')\n")
    with pytest.raises(UserError, match=said) as refusal:
        build(name, 3, 3)
    assert "\n" not in str(refusal.value).strip()


def test_a_grid_says_where_the_wrong_name_stands(own: Path) -> None:
    (own / "mine.toml").write_text(GRID.replace(":MyLayer", ":MyLayr"))
    with pytest.raises(UserError, match=r"mine.toml: experiment 'mine': layer './parts.py:MyLayr': did you mean"):
        load_grid(own / "mine.toml")
