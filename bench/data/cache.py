"""Data decoded once: splits are kept as .npy files, which every worker maps into its memory and so shares.

So are arrays that take long to compute from them and that many cells need, see `remember`.

The folder is UPBENCH_CACHE, or else `upbench` in the user's cache folder. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import PIL
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from bench.cell import Spec
from bench.data import DATA
from bench.data.base import SPLITS, Dataset, Split

INDEX = "index.json"


def load(spec: Spec, folder: Path | None) -> Dataset:
    """The data set, decoded now or earlier, by this process or another; its arrays are mapped, not read.

    Writing to them changes this process's copy alone. Raises UserError for data that are missing or damaged.
    """
    entry = prepare(spec, folder)
    return _open(entry) if entry else DATA.build(spec.name, **spec.options).load(folder)


def prepare(spec: Spec, folder: Path | None) -> Path | None:
    """Decode the data set unless that was done before; a second process waits for the first. The folder it is in.

    None for a set that has nothing to decode, and where the cache cannot be written: `load` then decodes each time.
    """
    data = DATA.build(spec.name, **spec.options)
    if not hasattr(data, "sources"):
        return None
    entry = root() / f"{spec.name}-{_key(spec, data, folder)}"
    if _whole(entry):
        return entry
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.with_suffix(".lock")):
            if not _whole(entry):
                _build(data, folder, entry)
    except (OSError, NotImplementedError):  # no space left, or a file system without writing or without locks
        return None
    return entry


def root() -> Path:
    """Where decoded data are kept."""
    if chosen := os.environ.get("UPBENCH_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "upbench"


def remember(name: str, make: Callable[[], dict[str, NDArray]]) -> dict[str, NDArray]:
    """The arrays that `make` gives, or gave under this name to this process or another before.

    Where the cache cannot be written they are made each time.
    """
    entry = root() / f"{name}.npz"
    try:
        with entry.open("rb") as stream, np.load(stream) as file:
            return dict(file)
    except (OSError, ValueError, BadZipFile):  # not there, or damaged
        arrays = make()
    partial = entry.with_suffix(f".{os.getpid()}")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as target:
            np.savez(target, **arrays)  # type: ignore[arg-type]
        partial.replace(entry)
    except OSError:
        with suppress(OSError):
            partial.unlink()
    return arrays


def _key(spec: Spec, data: Any, folder: Path | None) -> str:
    """Hash of the set's name and options, of the source and the library that decode it, and of the files' stamps."""
    classes = [kind for kind in type(data).__mro__ if kind.__module__.startswith("bench.")]
    code = [Path(inspect.getfile(kind)).read_text(encoding="utf-8") for kind in classes]
    digest = hashlib.sha256(json.dumps([spec.to_json(), PIL.__version__, np.__version__, code]).encode())
    for source in data.sources(folder):
        digest.update("".join(sorted(_stamps(source, source.name))).encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _stamps(source: Path | os.DirEntry[str], name: str) -> Iterator[str]:
    """Name, size and time of the file, or of all files below the folder."""
    if source.is_file():
        status = source.stat()
        yield f"{name} {status.st_size} {status.st_mtime_ns}\n"
    elif source.is_dir():
        with os.scandir(source) as entries:  # and not pathlib: there may be 200,000
            for entry in entries:
                yield from _stamps(entry, f"{name}/{entry.name}")


def _build(data: Any, folder: Path | None, entry: Path) -> None:
    """Decode straight into the files, in a folder that gets its name when it is whole. The caller holds the lock."""
    partial = entry.with_suffix(".partial")
    for remains in (partial, entry):  # of a process that was killed, or damaged
        shutil.rmtree(remains, ignore_errors=True)
    partial.mkdir()

    def allocate(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        path = partial / f"{name}.npy"
        array = open_memmap(path, "w+", np.uint8, shape)
        if hasattr(os, "posix_fallocate"):  # a full disk then is an error here and not a signal at some later write
            with path.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        return array

    try:
        dataset = data.load(folder, allocate)
        for path in partial.iterdir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        index = {
            "class_names": dataset.class_names,
            "sha256": {split: identity["sha256"] for split, identity in dataset.identity().items()},
            "bytes": {path.name: path.stat().st_size for path in partial.iterdir()},
        }
        (partial / INDEX).write_text(json.dumps(index), encoding="utf-8")
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _whole(entry: Path) -> bool:
    """Whether all files are there and as long as they were made."""
    try:
        sizes = json.loads((entry / INDEX).read_bytes())["bytes"]
        return all((entry / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _open(entry: Path) -> Dataset:
    index = json.loads((entry / INDEX).read_bytes())

    def mapped(name: str) -> NDArray[np.uint8] | None:
        path = entry / f"{name}.npy"
        # copy on write: the pages are shared like those of a read-only map, but torch warns of arrays it cannot write
        return np.asarray(np.load(path, mmap_mode="c")) if path.name in index["bytes"] else None

    splits: dict[str, Any] = {
        name: Split(mapped(f"{name}_images"), mapped(f"{name}_masks"), index["sha256"][name])  # type: ignore[arg-type]
        for name in SPLITS
    }
    return Dataset(**splits, class_names=tuple(index["class_names"]))
