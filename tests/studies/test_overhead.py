"""What the harness costs is measured on real runs, and adds up."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from upbench.store.store import Store

from tests.conftest import environment


def test_a_cell_says_how_long_its_task_ran(finished: Path) -> None:
    store = Store(finished)
    for path in store.cells.glob("*.json"):
        record = store.read(path.stem)
        assert record is not None
        assert record.computing is not None
        assert 0 < record.computing < record.duration


@pytest.mark.slow
def test_the_parts_of_a_cell_add_up(tmp_path: Path, tiny: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "upbench.studies.overhead", tiny, "--only", "seed=0"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    total = float(re.findall(r"[\d.]+(?=, of which)", lines[0])[0])
    parts = [float(line.split()[0]) for line in lines[1:4]]
    assert sum(parts) == pytest.approx(total, abs=0.02)
    assert float(re.findall(r"against one: ([\d.]+)", lines[4])[0]) > 0
