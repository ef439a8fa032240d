"""The package as a stranger installs it: from an empty folder, with nothing of this checkout in reach."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SHIPPED = [
    "ablations/quick.toml",
    "ablations/smoke.toml",
    "py.typed",
    "gate/workflow.yml",
    "studies/SPEED.md",
    "studies/GATE.md",
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, built from a copy so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    if not any(tracked):
        pytest.skip("needs a checkout")
    for name in filter(None, tracked):
        if not name.startswith(("results/", "tests/")) and (ROOT / name).exists():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_symlink():
                target.symlink_to((ROOT / name).readlink())
            else:
                target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def run(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(installed), "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


def test_grids_documents_and_types_are_part_of_it(installed: Path) -> None:
    for name in SHIPPED:
        assert (installed / "upbench" / name).is_file(), name


def test_it_is_not_this_checkout(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-c", "import upbench; print(upbench.__file__)")
    assert done.stdout.startswith(str(installed))


def test_a_shipped_grid_runs_by_its_name(installed: Path, tmp_path: Path) -> None:
    done = run(
        installed, tmp_path, "-m", "upbench", "run", "smoke", "--only", "layer=pixel_dcl", "--only", "experiment=layer"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results" / "runs" / "smoke" / "README.md").is_file()


def test_a_name_that_is_no_grid_is_refused(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-m", "upbench", "run", "quik")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "did you mean 'quick'" in done.stderr


def test_every_command_of_its_help_works_there(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-m", "upbench", "--help")
    commands = re.findall(r"^│ ([a-z]+) ", done.stdout, re.MULTILINE)
    assert {"list", "run", "check", "regress", "compare"} <= set(commands)
    for command in commands:
        assert run(installed, tmp_path, "-m", "upbench", command, "--help").returncode == 0, command


def test_the_layers_are_documented(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-c", "from upbench import PixelDCL; help(PixelDCL)")
    assert "kernel_size" in done.stdout
    assert "schedule" in done.stdout


@pytest.mark.slow
def test_a_script_against_it_is_typed(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    from tests.test_face import SCRIPT

    (tmp_path / "script.py").write_text(SCRIPT)
    done = run(installed, tmp_path, "-m", "mypy", "--strict", "script.py")
    assert done.returncode == 0, done.stdout
