"""`pytest bench/` for real, and `upbench regress` of a clone with a defect put into it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from upbench.gate.recording import read_recording
from upbench.store.results import read_results

from tests.conftest import ROOT, Command, environment

GRID = """
title = "Two layers"
[settings]
threads = 1
[[experiments]]
name = "layer"
[experiments.settings]
task = { name = "speed", in_channels = 4, out_channels = 4, side = 8, batch = 1 }
model = "single"
[experiments.axes]
layer = ["transposed_conv", "pixel_dcl"]
[[experiments]]
name = "coast"
[experiments.settings]
task = { name = "segmentation", steps = 2, batch = 2 }
model = { name = "unet", channels = 2, depth = 2 }
data = { name = "earth", size = 32 }
layer = "pixel_dcl"
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(GRID)
    return path


QUICK = ["--benchmark-max-time=0.001", "--benchmark-min-rounds=2", "--benchmark-warmup=off"]


def record(*options: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": str(root / "bench")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "bench", "-p", "no:cacheprovider", "-q", *options],
        cwd=root, env=environment(root) | own, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_recording_takes_the_options_of_pytest_benchmark(grid: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    done = record(f"--grid={grid}", f"--benchmark-json={file}", "--blocks=2", "--exact", *QUICK)
    assert done.returncode == 0, done.stdout
    recording = read_recording(file)
    assert {mode for _, mode in recording.ratios()} == {"forward", "train"}
    assert len(recording.ratios()) == 4
    assert all(len(rounds) >= 2 for blocks in recording.seconds.values() for rounds in blocks.values())
    exact = recording.recorded.exact
    assert exact is not None
    metrics = {figure.metric for figures in exact.values() for figure in figures}
    assert {"parameters", "flops", "forward_peak", "bytes_moved", "output_checksum", "mean_iou"} <= metrics
    recorded = recording.recorded.environment
    assert {"before", "after", "commit", "processor"} <= set(recorded)
    assert {"load", "affinity", "gpu_state"} == set(recorded["before"]) == set(recorded["after"])
    chosen = record(f"--grid={grid}", f"--benchmark-json={file}", "--blocks=1", "-k", "anchor or pixel_dcl", *QUICK)
    assert chosen.returncode == 0, chosen.stdout
    assert len(read_recording(file).ratios()) == 2


def test_the_seeded_figures_are_those_of_upbench_run_to_the_bit(finished: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    grid = finished.parent / "tiny.toml"
    done = record(f"--grid={grid}", f"--benchmark-json={file}", "--blocks=1", "--exact", *QUICK)
    assert done.returncode == 0, done.stdout
    stored = {cell_id: record.measurements for cell_id, record in read_results(finished).records.items()}
    assert len(stored) == 4
    assert read_recording(file).recorded.exact == stored


def test_an_unknown_grid_is_a_usage_error() -> None:
    done = record("--grid=absent.toml")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "absent.toml does not exist" in done.stderr


def _git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    folder = tmp_path / "clone"
    _git(tmp_path, "clone", "--quiet", str(ROOT), str(folder))
    return folder


@pytest.mark.slow  # its like in a repository of one's own is in the default tests
def test_regress_finds_one_more_parameter(upbench: Command, clone: Path, grid: Path, tmp_path: Path) -> None:
    """Committed code against a working tree with a defect; the base is checked out beside it, and gone afterwards."""
    source = clone / "bench" / "upbench" / "layers" / "transposed.py"
    defect = "        self.superfluous = torch.nn.Parameter(torch.zeros(1))\n        self.reset_parameters()"
    text = source.read_text()
    assert text.count("        self.reset_parameters()") == 1
    source.write_text(text.replace("        self.reset_parameters()", defect))
    out = tmp_path / "out"
    words = ["--grid", grid, "--pairs", "1", "--out", out, "--json", tmp_path / "verdict.json"]
    done = upbench("regress", "HEAD", *words, cwd=clone, root=clone)
    assert done.returncode == 1, done.stdout + done.stderr
    rows = json.loads((tmp_path / "verdict.json").read_text())["rows"]
    regressed = {(row["name"].split()[0], row["metric"]) for row in rows if row["verdict"] == "regressed"}
    assert ("transposed_conv", "parameters") in regressed
    assert {layer for layer, _ in regressed} == {"transposed_conv"}
    assert not any(row["verdict"] == "missing" for row in rows)
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=clone, capture_output=True, text=True, check=True)
    assert worktrees.stdout.count("\n") == 1


def test_a_cell_that_raises_says_so_and_costs_no_other(clone: Path, grid: Path, tmp_path: Path) -> None:
    with (clone / "bench" / "upbench" / "layers" / "pixel_dcl.py").open("a") as source:
        source.write("\n\ndef _broken(self, x):\n    raise RuntimeError('broken on purpose')\n\n\n")
        source.write("PixelDCL.upsample = _broken\n")
    file = tmp_path / "out.json"
    options = [f"--grid={grid}", f"--benchmark-json={file}", "--blocks=1", "--benchmark-max-time=0.001"]
    done = record(*options, root=clone)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    recording = read_recording(file)
    layers = {cell_id: cell["layer"]["name"] for cell_id, cell in recording.recorded.cells.items()}
    assert {layers[cell] for cell, _ in recording.ratios()} == {"transposed_conv"}
    failed = {layers[cell]: why for cell, why in recording.recorded.failed.items()}
    assert failed == {"pixel_dcl": "RuntimeError: broken on purpose"}


def test_regress_refuses_in_one_line(upbench: Command, clone: Path, tmp_path: Path) -> None:
    _git(clone, "tag", "v1")
    (tmp_path / "there").mkdir()
    for words, said in ((["v2"], "v1"), (["HEAD", "--out", tmp_path / "there"], "exists")):
        done = upbench("regress", *words, cwd=clone, root=clone)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr
    outside = upbench("regress", "HEAD", root=clone)
    assert outside.returncode == 2
    assert outside.stderr.count("\n") == 1
