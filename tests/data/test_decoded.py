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
from upbench.cache import cache_folder
from upbench.cell import Cell, Spec
from upbench.data import DATA, decoded
from upbench.data.base import Split
from upbench.data.camvid import CamVid
from upbench.errors import UserError
from upbench.run.runner import check_ready

from tests.data import trees


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CamVid tree, and a cache of its own."""
    monkeypatch.setenv("UPBENCH_CACHE", str(tmp_path / "cache"))
    trees.camvid(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def decoded_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every image that is decoded_names."""
    names: list[str] = []
    original = CamVid.read_image

    def read_image(self: CamVid, sample):
        names.append(sample.name)
        return original(self, sample)

    monkeypatch.setattr(CamVid, "read_image", read_image)
    return names


SPEC = Spec("camvid", DATA.complete("camvid", {"size": 8}))


def entries(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def test_the_second_time_nothing_is_decoded_or_hashed(
    home: Path, decoded_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = decoded.load(SPEC, home)
    assert len(decoded_names) == 12
    monkeypatch.setattr(Split, "_hash", lambda self: pytest.fail("hashed again"))
    again = decoded.load(SPEC, home)
    assert len(decoded_names) == 12
    assert again.identity() == first.identity()
    assert np.array_equal(again.train.images, first.train.images)
    assert [path.suffix for path in entries(cache_folder())] == [""], "nothing half-made is left"


def test_arrays_are_maps_of_one_file_that_nobody_changes(home: Path) -> None:
    one, other = decoded.load(SPEC, home), decoded.load(SPEC, home)
    before = other.train.images.copy()
    assert isinstance(one.train.images.base, np.memmap)
    one.train.images[:] = 0
    assert np.array_equal(other.train.images, before)
    assert np.array_equal(decoded.load(SPEC, home).train.images, before)


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
def test_other_files_are_decoded_anew(home: Path, decoded_names: list[str], change: Callable[[Path], None]) -> None:
    before = decoded.prepare(SPEC, home)
    change(home / "CamVid" / "test" / "0001_test_1.png")
    decoded_names.clear()
    assert decoded.prepare(SPEC, home) != before
    assert len(decoded_names) == 12


def test_moved_files_are_not(home: Path, decoded_names: list[str]) -> None:
    before = decoded.load(SPEC, home)
    moved = home.rename(home.with_name("moved"))
    decoded_names.clear()
    assert decoded.load(SPEC, moved).identity() == before.identity()
    assert decoded_names == []


@pytest.mark.parametrize("options", [{"size": 16}, {"size": 8, "limit": 1}])
def test_other_options_are_other_entries(home: Path, options: dict[str, int]) -> None:
    decoded.load(SPEC, home)
    other = decoded.load(Spec("camvid", DATA.complete("camvid", options)), home)
    assert other.train.images.shape[1] == options["size"]
    assert len(entries(cache_folder())) == 2


def test_another_decoder_decodes_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = decoded.prepare(SPEC, home)
    monkeypatch.setattr(PIL, "__version__", "0.1")
    assert decoded.prepare(SPEC, home) != before


@pytest.mark.parametrize(
    ("addition", "is_decoded_anew"),
    [("# a comment\n", False), ('"""A string that stands alone."""\n', False), ("CHANGED = True\n", True)],
)
def test_other_code_decodes_anew_and_other_comments_do_not(
    home: Path, monkeypatch: pytest.MonkeyPatch, addition: str, is_decoded_anew: bool
) -> None:
    before = decoded.prepare(SPEC, home)
    changed = home / "camvid.py"
    changed.write_text(Path(inspect.getfile(CamVid)).read_text() + addition)
    monkeypatch.setattr(CamVid, "__module__", "upbench.changed")
    monkeypatch.setitem(sys.modules, "upbench.changed", SimpleNamespace(__file__=str(changed)))
    assert (decoded.prepare(SPEC, home) != before) == is_decoded_anew


OWN_SET = """
from dataclasses import dataclass
from upbench.data.camvid import CamVid


@dataclass(frozen=True, kw_only=True)
class Own(CamVid):
    def finish_mask(self, mask):
        return mask{change}
"""


def test_the_code_of_a_users_own_set_counts_and_that_of_what_it_inherits(home: Path, tmp_path: Path) -> None:
    entries_made = []
    # a module is run once a process, so the changed one is a file of its own
    for name, change in (("a", ""), ("b", ""), ("c", " * 1")):
        path = tmp_path / name / "own_set.py"
        path.parent.mkdir()
        path.write_text(OWN_SET.format(change=change))
        spec = Spec(f"{path}:Own", {"size": 8, "limit": 0})
        data = DATA.build(spec.name, **spec.options)
        sources = decoded._read_class_sources(type(data))
        assert [path.read_text(), Path(inspect.getfile(CamVid)).read_text()] == sources[:2]
        entries_made.append(decoded._hash_inputs(SPEC, data, home))
        assert decoded.load(spec, home).identity() == CamVid(size=8).load(home).identity()
    same, also_same, other = entries_made
    assert same == also_same != other
    assert len(entries(cache_folder())) == 3, "each is decoded into a folder of its own, directly in the cache"


@pytest.mark.parametrize("victim", ["train_images.npy", "val_masks.npy", "index.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_entry_is_made_anew(home: Path, decoded_names: list[str], victim: str, damage: str) -> None:
    identity = decoded.load(SPEC, home).identity()
    path = entries(cache_folder())[0] / victim
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    decoded_names.clear()
    data = decoded.load(SPEC, home)
    assert len(decoded_names) == 12
    assert Split(data.train.images, data.train.masks).identity() == identity["train"]


def test_what_a_killed_process_left_is_removed(home: Path) -> None:
    entry = decoded.prepare(SPEC, home)
    assert entry is not None
    partial = entry.rename(entry.with_suffix(".partial"))
    (partial / "train_images.npy").write_bytes(b"half")
    assert decoded.load(SPEC, home).identity() == CamVid(size=8).load(home).identity()
    assert entries(cache_folder()) == [entry]


def test_a_refusal_leaves_nothing_behind(home: Path) -> None:
    (home / "CamVid" / "train" / "0001_train_1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"0001_train_1\.png cannot be read"):
        decoded.load(SPEC, home)
    assert entries(cache_folder()) == []


def test_without_a_place_to_write_data_are_decoded_each_time(
    home: Path, decoded_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("in the way")
    monkeypatch.setenv("UPBENCH_CACHE", str(home / "file" / "cache"))
    assert decoded.prepare(SPEC, home) is None
    for times in (1, 2):
        assert decoded.load(SPEC, home).test.images.shape == (4, 8, 8, 3)
        assert len(decoded_names) == 12 * times


def test_a_full_disk_is_noticed_before_it_is_written_to(
    home: Path, decoded_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert decoded.load(SPEC, home).identity() == CamVid(size=8).load(home).identity()
    assert len(decoded_names) == 24, "nothing was decoded into the cache"
    assert entries(cache_folder()) == []


def _identity(home: Path, start, results) -> None:
    decoded_names = []
    original = CamVid.read_image
    CamVid.read_image = lambda self, sample: decoded_names.append(sample.name) or original(self, sample)  # type: ignore
    start.wait(30)
    identity = decoded.load(SPEC, home).identity()
    results.put((len(decoded_names), identity))


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


def test_a_run_decodes_before_its_cells_begin(home: Path, decoded_names: list[str]) -> None:
    cell = Cell(*(Spec(name) for name in ("segmentation", "unet", "pixel_dcl")), SPEC)
    check_ready([cell, replace(cell, seed=1)], home)
    assert len(decoded_names) == 12
    assert len(entries(cache_folder())) == 1
    decoded.load(SPEC, home)
    assert len(decoded_names) == 12


def test_the_index_is_plain_json(home: Path) -> None:
    entry = decoded.prepare(SPEC, home)
    assert entry is not None
    index = json.loads((entry / "index.json").read_text())
    assert index["sha256"]["test"] == CamVid(size=8).load(home).test.identity()["sha256"]
