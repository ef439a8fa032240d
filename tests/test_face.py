"""What `import upbench` offers: the layers, typed and listed, and no torch until it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import upbench
from upbench.layers import LAYERS

from tests.conftest import environment

# torchvision has no types of its own, and torch's own `Tensor.backward` has none
SCRIPT = """
import torch
from torch import nn

from upbench import SwapReport, swap
from upbench.torchvision_shim import allow_torchvision

allow_torchvision()
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor  # type: ignore[import-untyped]

network: nn.Module = MaskRCNNPredictor(8, 4, num_classes=2)
report: SwapReport = swap(network, "pixel_dcl", kernel_size=5)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
loss: torch.Tensor = network(torch.randn(2, 8, 7, 7)).square().mean()
torch.autograd.backward([loss])
optimizer.step()
print(report, loss.item() > 0)
"""


@pytest.mark.parametrize("name", upbench.__all__)
def test_everything_promised_is_there_and_listed(name: str) -> None:
    assert getattr(upbench, name) is not None
    assert name in dir(upbench)


def test_every_registered_layer_is_offered() -> None:
    offered = {getattr(upbench, name) for name in upbench.__all__}
    for name in LAYERS:
        assert LAYERS.get(name) in offered, name


def test_a_layer_is_a_module_with_torchs_words() -> None:
    layer = upbench.PixelDCL(4, 6, kernel_size=5, scale_factor=3, bias=True)
    assert layer(torch.randn(1, 4, 5, 5)).shape == (1, 6, 15, 15)
    assert "kernel_size=5" in repr(layer)
    assert "scale_factor=3" in repr(layer)
    assert "bias=True" in repr(layer)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'PixelDLC'"):
        upbench.PixelDLC  # noqa: B018


def test_importing_the_package_imports_no_torch(tmp_path: Path) -> None:
    code = "import sys, upbench; dir(upbench); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=False).returncode == 0


def test_a_folder_named_bench_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("raise ImportError('this is the folder of a user')")
    code = "from upbench import PixelDCL; print(PixelDCL(2, 2))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, check=True
    )
    assert b"PixelDCL" in done.stdout


def test_a_script_that_swaps_and_trains_runs(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "kernel_size=5" in done.stdout
    assert "True" in done.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(upbench.__file__).parent / "py.typed").is_file()
