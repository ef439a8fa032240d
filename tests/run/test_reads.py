"""A run reads its results folder once, and what it has just written not at all."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner
from upbench.cli.app import app

from tests.conftest import TINY


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file of a results folder is read in this process, by name."""
    counts: Counter[str] = Counter()
    genuine = Path.read_bytes

    def counted(path: Path) -> bytes:
        counts[path.name] += 1
        return genuine(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    return counts


def run(folder: Path, *words: str) -> None:
    result = CliRunner().invoke(app, [*words], catch_exceptions=False, env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(TINY)
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path


def test_a_run_reads_grid_and_records_at_most_once(copy: Path, reads: Counter[str]) -> None:
    records = sorted((copy / "out" / "cells").glob("*.json"))
    records[0].unlink()
    run(copy, "run", str(copy / "tiny.toml"), "--out", str(copy / "out"), "--workers", "1")
    assert records[0].is_file(), "the missing cell was run"
    assert reads["grid.json"] <= 1
    for path in records:
        assert reads[path.name] <= 1, path.name


@pytest.mark.parametrize("command", ["status", "tables", "plots"])
def test_what_shows_a_folder_reads_it_once(copy: Path, reads: Counter[str], command: str) -> None:
    run(copy, command, str(copy / "out"))
    assert reads["grid.json"] == 1
    for path in (copy / "out" / "cells").glob("*.json"):
        assert reads[path.name] == 1, path.name
