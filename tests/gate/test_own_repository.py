"""The gate in a repository that is not upbench's: its own layer, in its own checkout."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from upbench.errors import UserError
from upbench.gate.cells import SHIPPED_GRID, find_own_grid
from upbench.gate.checkout import cells_of
from upbench.gate.recording import read_recording

from tests.conftest import ROOT, Command, environment

LAYER = '''
"""A layer of somebody's own."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from upbench import UpsamplingLayer


class MyLayer(UpsamplingLayer):
    """A pointwise convolution, then the nearest neighbour."""

    def __init__(
        self, in_channels: int, out_channels: int, *, dims: int = 2, scale_factor: int = 2, bias: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.kaiming_uniform_(self.weight)

    def upsample(self, x: Tensor) -> Tensor:
        return F.interpolate(F.conv2d(x, self.weight), scale_factor=float(self.scale_factor))

    def multiply_adds(self) -> int:
        return self.in_channels * self.out_channels
'''
# a new option at its default, which makes no new cell; and one more parameter, which is a defect
CHANGES = {
    "bias: bool = False\n": "bias: bool = False, gain: float = 1.0\n",
    "        self.reset_parameters()\n": "        self.reset_parameters()\n"
    "        self.superfluous = nn.Parameter(torch.zeros(1))\n",
}
GRID = """
title = "One layer"
[settings]
threads = 1
[[experiments]]
name = "layer"
[experiments.settings]
task = { name = "speed", in_channels = 4, out_channels = 4, side = 8, batch = 1 }
model = "single"
layer = "LAYER"
"""
PYPROJECT = """
[tool.pytest.ini_options]
addopts = "--strict-markers --no-such-option-of-upbench"
"""
QUICK = ["--benchmark-max-time=0.001", "--benchmark-min-rounds=2", "--benchmark-warmup=off"]


def commit(folder: Path) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message", "one"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def change(layer: Path) -> None:
    text = layer.read_text()
    for before, after in CHANGES.items():
        assert before in text
        text = text.replace(before, after)
    layer.write_text(text)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A repository with a layer in one file, and a grid at its root."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "my_layer.py").write_text(LAYER)
    (folder / "gate.toml").write_text(GRID.replace("LAYER", "./my_layer.py:MyLayer"))
    commit(folder)
    return folder


def run_pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def read_rows(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text())["rows"]


@pytest.mark.slow
def test_regress_of_unchanged_code_finds_nothing(upbench: Command, own: Path) -> None:
    """The tests of the repository, and how they are configured, do not matter."""
    (own / "pyproject.toml").write_text(PYPROJECT)
    (own / "conftest.py").write_text("raise RuntimeError('not of the gate')")
    done = upbench("regress", "HEAD", "--pairs", "1", "--json", "verdict.json", cwd=own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "regressed" not in done.stdout
    exact = {row["metric"]: row["verdict"] for row in read_rows(own / "verdict.json") if row["evidence"] is None}
    assert set(exact.values()) == {"same"}
    assert {"parameters", "flops", "output_checksum"} <= set(exact)


def test_regress_finds_one_more_parameter_in_a_layer_of_ones_own(upbench: Command, own: Path) -> None:
    """The command runs in a folder of the repository, while the layer is named from the root."""
    change(own / "my_layer.py")
    (own / "below").mkdir()
    done = upbench("regress", "HEAD", "--pairs", "1", "--json", "verdict.json", cwd=own / "below")
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts = {row["metric"]: row["verdict"] for row in read_rows(own / "below" / "verdict.json")}
    assert verdicts["parameters"] == "regressed"
    assert verdicts["flops"] == "same"
    assert "missing" not in verdicts.values(), "the new option is at its default"
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=own, capture_output=True, text=True, check=True)
    assert worktrees.stdout.count("\n") == 1


def test_each_side_runs_its_own_package(tmp_path: Path) -> None:
    """A package below `src`: base without the new option, head with it."""
    sides = {}
    for side in ("base", "head"):
        package = tmp_path / side / "src" / "my_package"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "layers.py").write_text(LAYER)
        (tmp_path / side / "gate.toml").write_text(GRID.replace("LAYER", "my_package.layers:MyLayer"))
        if side == "head":
            change(package / "layers.py")
        (cell,) = cells_of(tmp_path / side, None).values()
        sides[side] = cell.layer.options
    assert "gain" not in sides["base"]
    assert sides["head"] == sides["base"] | {"gain": 1.0}


def test_pytest_bench_serves_it_with_the_same_two_files(own: Path) -> None:
    (own / "bench").mkdir()
    for name in ("conftest.py", "test_cells.py"):
        shutil.copy(ROOT / "bench" / name, own / "bench")
    done = run_pytest(own, "bench/", "--blocks=1", "--exact", "--benchmark-json=out.json", *QUICK)
    assert done.returncode == 0, done.stdout
    recording = read_recording(own / "out.json")
    (cell,) = recording.recorded.cells.values()
    assert cell["layer"]["name"] == "./my_layer.py:MyLayer", "the grid of the repository itself"
    assert {mode for _, mode in recording.ratios()} == {"forward", "train"}
    assert recording.recorded.exact


def test_pytest_of_the_whole_repository_measures_nothing_and_shuffles_nothing(own: Path) -> None:
    (own / "bench").mkdir()
    for name in ("conftest.py", "test_cells.py"):
        shutil.copy(ROOT / "bench" / name, own / "bench")
    lines = "".join(f"def test_{number}() -> None: pass\n" for number in range(9))
    (own / "test_own.py").write_text(lines)
    in_order = [f"test_own.py::test_{number}" for number in range(9)]
    done = run_pytest(own, "-vv", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed, 2 skipped" in done.stdout
    assert re.findall(r"test_own.py::test_\d", done.stdout) == in_order
    beside = run_pytest(own, "-vv", "bench/", "test_own.py", "--blocks=1", *QUICK)
    assert beside.returncode == 0, beside.stdout + beside.stderr
    assert re.findall(r"test_own.py::test_\d", beside.stdout) == in_order, "only what is timed is shuffled"


def test_a_checkout_without_a_grid_says_what_to_do(upbench: Command, own: Path) -> None:
    subprocess.run(["git", "rm", "--quiet", "gate.toml"], cwd=own, check=True)
    commit(own)
    done = upbench("regress", "HEAD", cwd=own)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "write one, or name one for both sides with --grid" in done.stderr


def test_a_layer_that_cannot_be_imported_is_one_line(own: Path) -> None:
    (own / "my_layer.py").write_text("import no_such_module")
    with pytest.raises(UserError, match="no_such_module") as caught:
        cells_of(own, None)
    assert "\n" not in str(caught.value)


def test_the_grid_is_that_of_the_checkout(tmp_path: Path) -> None:
    assert find_own_grid(tmp_path) is None
    (tmp_path / "gate.toml").touch()
    assert find_own_grid(tmp_path) == tmp_path / "gate.toml"
    (tmp_path / "ablations").mkdir()
    (tmp_path / "ablations" / "gate.toml").touch()
    assert find_own_grid(tmp_path) == tmp_path / "ablations" / "gate.toml"
    assert SHIPPED_GRID.is_file()
