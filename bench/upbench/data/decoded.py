"""Data decoded once: splits are kept as .npy files, which every worker maps into its memory and so shares.

They are in the folder of `upbench.cache`, which may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from upbench.cache import cache_folder
from upbench.cell import Spec
from upbench.data import DATA
from upbench.data.base import SPLITS, Dataset, Split
from upbench.source import code_digest

INDEX = "index.json"


def load(spec: Spec, folder: Path | None) -> Dataset:
    """The data set, decoded now or earlier, by this process or another; its arrays are mapped, not read.

    Writing to the arrays changes this process's copy alone. Raises UserError for data that are missing or damaged.
    """
    entry = prepare(spec, folder)
    if entry is None:
        data = DATA.build(spec.name, **spec.options)
        return data.load(folder)
    return _map_entry(entry)


def prepare(spec: Spec, folder: Path | None) -> Path | None:
    """Decode the data set unless that was done before. A second process waits for the first.

    Returns:
        The folder of the decoded arrays. None for a set that has nothing to decode, and where the cache cannot be
        written: `load` then decodes each time.
    """
    data = DATA.build(spec.name, **spec.options)
    if not hasattr(data, "sources"):
        return None
    # a user's own data set is named by a path or a module
    plain_name = re.sub(r"\W+", "_", spec.name).strip("_")
    entry = cache_folder() / f"{plain_name}-{_hash_inputs(spec, data, folder)}"
    if _is_whole(entry):
        return entry
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.with_suffix(".lock")):
            # the process that held the lock before may have made it
            if not _is_whole(entry):
                _write_entry(data, folder, entry)
    except (OSError, NotImplementedError):  # no space left, or a file system without writing or without locks
        return None
    return entry


def _hash_inputs(spec: Spec, data: Any, folder: Path | None) -> str:
    """The hash of all that the decoded arrays depend on.

    That is the name and the options of the set, the code and the libraries that decode it, and the stamps of its files.
    """
    sources = _read_class_sources(type(data))
    code = [code_digest(source) for source in sources]
    libraries = [PIL.__version__, np.__version__]
    described = json.dumps([spec.to_json(), *libraries, code])
    digest = hashlib.sha256(described.encode())
    for source in data.sources(folder):
        # sorted: a folder lists its files in any order
        stamps = sorted(_stamp_files(source, source.name))
        text = "".join(stamps)
        # the name of a file may be no text
        stamp_bytes = text.encode(errors="surrogateescape")
        digest.update(stamp_bytes)
    return digest.hexdigest()[:16]


def _read_class_sources(data_set: type) -> list[str]:
    """The source files of a class and of those it inherits from, without those of Python's own library."""
    sources = []
    for each in data_set.__mro__:
        package = each.__module__.partition(".")[0]
        if package in sys.stdlib_module_names:
            continue
        path = inspect.getsourcefile(each)
        if path is not None:
            sources.append(Path(path).read_text(encoding="utf-8"))
    return sources


def _stamp_files(source: Path | os.DirEntry[str], name: str) -> Iterator[str]:
    """Name, size and time of the file, or of all files below the folder."""
    if source.is_file():
        status = source.stat()
        yield f"{name} {status.st_size} {status.st_mtime_ns}\n"
    elif source.is_dir():
        # scandir and not pathlib: there may be 200,000 files
        with os.scandir(source) as entries:
            for entry in entries:
                yield from _stamp_files(entry, f"{name}/{entry.name}")


def _write_entry(data: Any, folder: Path | None, entry: Path) -> None:
    """Decode straight into the files, in a folder that gets its name when it is whole. The caller holds the lock."""
    partial = entry.with_suffix(".partial")
    # of a process that was killed, or damaged
    for remains in (partial, entry):
        shutil.rmtree(remains, ignore_errors=True)
    partial.mkdir()

    def allocate(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Allocate an array in a file of the entry."""
        return _allocate_file(partial / f"{name}.npy", shape)

    try:
        dataset = data.load(folder, allocate)
        sizes = {}
        for path in sorted(partial.iterdir()):
            _flush_to_disk(path)
            sizes[path.name] = path.stat().st_size
        # hashed now, while the pages are in memory, and not by each worker
        identities = dataset.identity()
        index = {
            "class_names": dataset.class_names,
            "sha256": {split: identities[split]["sha256"] for split in SPLITS},
            "bytes": sizes,
        }
        (partial / INDEX).write_text(json.dumps(index), encoding="utf-8")
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _allocate_file(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A new .npy file, mapped into memory to be filled."""
    array = open_memmap(path, "w+", np.uint8, shape)
    # a full disk then is an error here and not a signal at some later write; macOS has no such call
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _is_whole(entry: Path) -> bool:
    """Whether all files are there and as long as they were made."""
    try:
        index = json.loads((entry / INDEX).read_bytes())
        sizes = index["bytes"]
        for name, size in sizes.items():
            if (entry / name).stat().st_size != size:
                return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def _map_entry(entry: Path) -> Dataset:
    index = json.loads((entry / INDEX).read_bytes())
    splits = {}
    for split in SPLITS:
        images = _map_file(entry / f"{split}_images.npy")
        masks = None
        masks_file = f"{split}_masks.npy"
        if masks_file in index["bytes"]:
            masks = _map_file(entry / masks_file)
        sha256 = index["sha256"][split]
        splits[split] = Split(images, masks, sha256)
    class_names = tuple(index["class_names"])
    return Dataset(**splits, class_names=class_names)


def _map_file(path: Path) -> NDArray[np.uint8]:
    # copy on write: the pages are shared like those of a read-only map, but torch warns of arrays it cannot write
    mapped = np.load(path, mmap_mode="c")
    return np.asarray(mapped)
