"""The command: help a newcomer can follow, and refusals of one line with status 2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from upbench.cli.app import app, main
from upbench.layers import LAYERS
from upbench.metrics import METRICS
from upbench.models import MODELS

from tests.conftest import TINY, Command


@pytest.fixture
def upbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run the command in an empty folder, and in this process: one of its own would import torch for each refusal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        arguments = list(map(str, words))
        monkeypatch.setattr(sys, "argv", ["upbench", *arguments])
        handler = signal.getsignal(signal.SIGTERM)
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
        said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, status, said.out, said.err)

    return run


def refused(done, *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("upbench: ")
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], ["Missing argument"]),
        (["rnu", "x"], ["rnu"]),
        (["run", "none.toml"], ["none.toml", "does not exist"]),
        (["run", "tiny.toml", "--wrokers", "2"], ["--wrokers", "--workers"]),
        (["run", "tiny.toml", "--workers", "0"], ["--workers"]),
        (["run", "tiny.toml", "--device", "gpu"], ["unknown device 'gpu'", "cpu, cuda"]),
        (["run", "tiny.toml", "--only", "layer=pixel"], ["unknown layer 'pixel'", "pixel_dcl"]),
        (["status", "."], ["not a results folder"]),
        (["tables", "nowhere"], ["not a results folder"]),
        (["plots", "tiny.toml"], ["not a results folder"]),
    ],
)
def test_a_wrong_command_line_is_refused(
    tmp_path: Path, tiny: Path, upbench: Command, words: list[str], said: list[str]
) -> None:
    refused(upbench(*words), *said)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"], "nothing is written"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"pixel_dcl"', '"pixel_dlc"', "did you mean 'pixel_dcl'"),
        ("[axes]", "[axis]", "did you mean 'axes'"),
        ("steps = 3", "stesp = 3", "did you mean 'steps'"),
        ('"pixel_dcl"', '{ name = "pixel_dcl", schedule = "realesed" }', "did you mean 'released'"),
    ],
)
def test_a_wrong_grid_is_refused(tmp_path: Path, upbench: Command, old: str, new: str, said: str) -> None:
    (tmp_path / "bad.toml").write_text(TINY.replace(old, new, 1))
    refused(upbench("run", "bad.toml"), "bad.toml", said)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name it with --data"),
        (["--data", "nowhere"], "data folder nowhere does not exist"),
        (["--data", "."], "does not exist; the folder holds no .npz files"),
    ],
)
def test_missing_data_are_refused_before_anything_runs(
    tmp_path: Path, upbench: Command, options: list[str], said: str
) -> None:
    grid = TINY.replace('{ name = "earth", size = 32 }', '{ name = "npz", file = "nuclei.npz" }')
    (tmp_path / "npz.toml").write_text(grid)
    refused(upbench("run", "npz.toml", *options), said)
    assert [path.name for path in tmp_path.iterdir()] == ["npz.toml"]


def test_missing_weights_are_refused_before_anything_runs(
    tmp_path: Path, upbench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UPBENCH_INCEPTION", raising=False)
    task = '{ name = "generation", steps = 3, batch = 2, metrics = ["kid_effnet", "fid_inception"] }'
    grid = TINY.partition("[[tables]]")[0].replace('{ name = "segmentation", steps = 3, batch = 2 }', task)
    (tmp_path / "fid.toml").write_text(grid.replace('{ name = "unet", channels = 2, depth = 2 }', '"vae"'))
    refused(upbench("run", "fid.toml"), "Inception-v3", "set UPBENCH_INCEPTION")
    assert [path.name for path in tmp_path.iterdir()] == ["fid.toml"]


def test_a_results_folder_that_cannot_be_written_is_refused(tmp_path: Path, tiny: Path, upbench: Command) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(upbench("run", tiny, "--out", "file/out"), "file/out", "cannot be written")
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        refused(upbench("run", tiny, "--out", "closed/out"), "closed/out", "cannot be written")


def test_list_names_everything(upbench: Command) -> None:
    done = upbench("list")
    assert done.returncode == 0, done.stderr
    for name in (*LAYERS, *MODELS, *METRICS, "earth", "segmentation"):
        assert name in done.stdout


def test_help_shows_every_command(upbench: Command) -> None:
    done = upbench("--help")
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        assert f"│ {name} " in done.stdout, name


def test_dry_run_writes_nothing(tmp_path: Path, tiny: Path, upbench: Command) -> None:
    done = upbench("run", tiny, "--dry-run", "--only", "layer=pixel_dcl")
    assert "2 cells to run, 0 already there" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_version(upbench: Command) -> None:
    assert upbench("--version").stdout.startswith("upbench ")
