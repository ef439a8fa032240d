"""What all tests share: the command in a process of its own, and a grid that takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"

TINY = """
title = "Tiny"
timeout = 120.0
keep_seeds = [1]

[axes]
layer = ["transposed_conv", "pixel_dcl"]

[[experiments]]
name = "coast"
[experiments.settings]
task = { name = "segmentation", steps = 3, batch = 2 }
model = { name = "unet", channels = 2, depth = 2 }
data = { name = "earth", size = 32 }
[experiments.axes]
seed = [0, 1]

[[tables]]
name = "quality"
title = "Quality"
columns = ["coast.mean_iou", "coast.boundary_iou"]

[[figures]]
name = "masks"
kind = "masks"
title = "Masks"
experiment = "coast"
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


def environment(root: Path = ROOT) -> dict[str, str]:
    """The environment of a child process that imports the suite from `root`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**inherited, "PYTHONPATH": str(root / "bench"), "COLUMNS": "100", "NO_COLOR": "1"}


torch.set_num_threads(1)  # the arrays are small: threads would wait for each other longer than they work


def arguments(*words: object) -> list[str]:
    return [sys.executable, "-m", "upbench", *map(str, words)]


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded data go into a folder of this session, here and in all child processes, not into the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def upbench(tmp_path: Path) -> Command:
    """Run the command in an empty folder; its output is captured."""

    def run(*words: object, cwd: Path = tmp_path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments(*words), cwd=cwd, env=environment(root), capture_output=True, text=True, timeout=240, check=False
        )

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the tiny grid, run once, unbroken. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.toml").write_text(TINY)
    done = subprocess.run(
        arguments("run", "tiny.toml", "--out", "out"),
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


@pytest.fixture
def shared() -> Path:
    """The folder with the larger data sets; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the larger data sets are not here")
    return SHARED
