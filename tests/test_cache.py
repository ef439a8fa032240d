"""The folder of what can be made again, and arrays that are computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from upbench.cache import cache_folder, remember


def test_the_folder_is_the_users_cache_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UPBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "upbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "upbench"


def test_computed_once_and_again_where_that_was_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBENCH_CACHE", str(tmp_path))
    calls = []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"a": np.arange(3, dtype=np.float32)}

    for expected in (1, 1):
        assert np.array_equal(remember("thing", make)["a"], [0, 1, 2])
        assert len(calls) == expected
    file = cache_folder() / "thing.npz"
    file.write_bytes(file.read_bytes()[:50])
    for _ in range(2):
        assert remember("thing", make)["a"].dtype == np.float32
        assert len(calls) == 2
    assert [path.name for path in cache_folder().glob("thing*")] == ["thing.npz"]


def test_computed_each_time_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UPBENCH_CACHE", str(tmp_path / "file" / "below"))
    assert np.array_equal(remember("thing", lambda: {"a": np.ones(2)})["a"], [1, 1])
