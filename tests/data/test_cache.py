"""Decoded once: by the first process that asks, and anew only when files, options or code differ."""

from __future__ import annotations

import inspect
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL
import pytest

from bench.cell import Cell, Spec
from bench.data import DATA, cache
from bench.data.base import Split
from bench.data.camvid import CamVid
from bench.errors import UserError
from bench.run.runner import check_ready
from tests.data import trees


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CamVid tree, and a cache of its own."""
    monkeypatch.setenv("UPBENCH_CACHE", str(tmp_path / "cache"))
    trees.camvid(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every image that is decoded."""
    names: list[str] = []
    original = CamVid.image

    def image(self: CamVid, sample):
        names.append(sample.name)
        return original(self, sample)

    monkeypatch.setattr(CamVid, "image", image)
    return names


SPEC = Spec("camvid", DATA.complete("camvid", {"size": 8}))


def entries(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def test_the_second_time_nothing_is_decoded_or_hashed(
    home: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cache.load(SPEC, home)
    assert len(decoded) == 12
    monkeypatch.setattr(Split, "_hash", lambda self: pytest.fail("hashed again"))
    again = cache.load(SPEC, home)
    assert len(decoded) == 12
    assert again.identity() == first.identity()
    assert np.array_equal(again.train.images, first.train.images)
    assert [path.suffix for path in entries(cache.root())] == [""], "nothing half-made is left"


def test_arrays_are_maps_of_one_file_that_nobody_changes(home: Path) -> None:
    one, other = cache.load(SPEC, home), cache.load(SPEC, home)
    before = other.train.images.copy()
    assert isinstance(one.train.images.base, np.memmap)
    one.train.images[:] = 0
    assert np.array_equal(other.train.images, before)
    assert np.array_equal(cache.load(SPEC, home).train.images, before)


def another_size(path: Path) -> None:
    status = path.stat()
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def another_time(path: Path) -> None:
    os.utime(path, ns=(0, 1))


def another_name(path: Path) -> None:
    for part in ("test", "testannot"):
        here = path.parent.parent / part / path.name
        here.rename(here.with_name("new.png"))


@pytest.mark.parametrize("change", [another_size, another_time, another_name])
def test_other_files_are_decoded_anew(home: Path, decoded: list[str], change: Callable[[Path], None]) -> None:
    before = cache.prepare(SPEC, home)
    change(home / "CamVid" / "test" / "0001_test_1.png")
    decoded.clear()
    assert cache.prepare(SPEC, home) != before
    assert len(decoded) == 12


def test_moved_files_are_not(home: Path, decoded: list[str]) -> None:
    before = cache.load(SPEC, home)
    moved = home.rename(home.with_name("moved"))
    decoded.clear()
    assert cache.load(SPEC, moved).identity() == before.identity()
    assert decoded == []


@pytest.mark.parametrize("options", [{"size": 16}, {"size": 8, "limit": 1}])
def test_other_options_are_other_entries(home: Path, options: dict[str, int]) -> None:
    cache.load(SPEC, home)
    other = cache.load(Spec("camvid", DATA.complete("camvid", options)), home)
    assert other.train.images.shape[1] == options["size"]
    assert len(entries(cache.root())) == 2


def test_other_code_or_another_decoder_decodes_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.prepare(SPEC, home)
    with monkeypatch.context() as patch:
        patch.setattr(PIL, "__version__", "0.1")
        assert cache.prepare(SPEC, home) != before
    changed = home / "camvid.py"
    changed.write_text(Path(inspect.getfile(CamVid)).read_text() + "# changed\n")
    monkeypatch.setattr(CamVid, "__module__", "bench.changed")
    monkeypatch.setitem(sys.modules, "bench.changed", SimpleNamespace(__file__=str(changed)))
    assert cache.prepare(SPEC, home) != before


@pytest.mark.parametrize("victim", ["train_images.npy", "val_masks.npy", "index.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_entry_is_made_anew(home: Path, decoded: list[str], victim: str, damage: str) -> None:
    identity = cache.load(SPEC, home).identity()
    path = entries(cache.root())[0] / victim
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    decoded.clear()
    data = cache.load(SPEC, home)
    assert len(decoded) == 12
    assert Split(data.train.images, data.train.masks).identity() == identity["train"]


def test_what_a_killed_process_left_is_removed(home: Path) -> None:
    entry = cache.prepare(SPEC, home)
    assert entry is not None
    partial = entry.rename(entry.with_suffix(".partial"))
    (partial / "train_images.npy").write_bytes(b"half")
    assert cache.load(SPEC, home).identity() == CamVid(size=8).load(home).identity()
    assert entries(cache.root()) == [entry]


def test_a_refusal_leaves_nothing_behind(home: Path) -> None:
    (home / "CamVid" / "train" / "0001_train_1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"0001_train_1\.png cannot be read"):
        cache.load(SPEC, home)
    assert entries(cache.root()) == []


def test_without_a_place_to_write_data_are_decoded_each_time(
    home: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("in the way")
    monkeypatch.setenv("UPBENCH_CACHE", str(home / "file" / "cache"))
    assert cache.prepare(SPEC, home) is None
    for times in (1, 2):
        assert cache.load(SPEC, home).test.images.shape == (4, 8, 8, 3)
        assert len(decoded) == 12 * times


def test_a_full_disk_is_noticed_before_it_is_written_to(
    home: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert cache.load(SPEC, home).identity() == CamVid(size=8).load(home).identity()
    assert len(decoded) == 24, "nothing was decoded into the cache"
    assert entries(cache.root()) == []


def _identity(home: Path, start, results) -> None:
    decoded = []
    original = CamVid.image
    CamVid.image = lambda self, sample: decoded.append(sample.name) or original(self, sample)  # type: ignore
    start.wait(30)
    identity = cache.load(SPEC, home).identity()
    results.put((len(decoded), identity))


def test_two_processes_at_once_decode_once(home: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_identity, args=(home, start, results)) for _ in range(2)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert sorted(count for count, _ in answers) == [0, 12]
    assert answers[0][1] == answers[1][1] == CamVid(size=8).load(home).identity()


def test_the_folder_is_the_users_cache_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UPBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.root() == tmp_path / "upbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.root() == tmp_path / ".cache" / "upbench"


def test_a_run_decodes_before_its_cells_begin(home: Path, decoded: list[str]) -> None:
    cell = Cell(*(Spec(name) for name in ("segmentation", "unet", "pixel_dcl")), SPEC)
    check_ready([cell, replace(cell, seed=1)], home)
    assert len(decoded) == 12
    assert len(entries(cache.root())) == 1
    cache.load(SPEC, home)
    assert len(decoded) == 12


def test_the_index_is_plain_json(home: Path) -> None:
    entry = cache.prepare(SPEC, home)
    assert entry is not None
    index = json.loads((entry / "index.json").read_text())
    assert index["sha256"]["test"] == CamVid(size=8).load(home).test.identity()["sha256"]


def test_computed_once_and_again_where_that_was_damaged(home: Path) -> None:
    calls = []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"a": np.arange(3, dtype=np.float32)}

    for expected in (1, 1):
        assert np.array_equal(cache.remember("thing", make)["a"], [0, 1, 2])
        assert len(calls) == expected
    file = cache.root() / "thing.npz"
    file.write_bytes(file.read_bytes()[:50])
    for _ in range(2):
        assert cache.remember("thing", make)["a"].dtype == np.float32
        assert len(calls) == 2
    assert [path.name for path in cache.root().glob("thing*")] == ["thing.npz"]


def test_computed_each_time_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UPBENCH_CACHE", str(tmp_path / "file" / "below"))
    assert np.array_equal(cache.remember("thing", lambda: {"a": np.ones(2)})["a"], [1, 1])
