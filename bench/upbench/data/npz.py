"""The suite's own file format: one NumPy archive with three splits."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from upbench.data.base import Allocate, Dataset, DataShape, Split, in_memory
from upbench.data.refusals import require_folder
from upbench.errors import UserError
from upbench.masks import VOID

UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)  # what a damaged archive raises


class Header(NamedTuple):
    """What an archive says of an array before the values of the array.

    Attributes:
        shape: the length of the array in each dimension.
        dtype: the type of its values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True, kw_only=True)
class Npz:
    """A NumPy archive of your own, with masks or without.

    Layout: one file below the data folder, which holds `{train,val,test}_images`, uint8 (N, H, W, C), and for
    segmentation also `{train,val,test}_masks`, uint8 (N, H, W) with 255 = void, and `class_names`. Licence: as you
    have it.

    Attributes:
        file: path of the archive below the data folder. It must be given.
        hold_out: where the archive has no `val` split, every hold_out-th training image becomes validation and no
            longer trains. At least 2, or 0 for an empty `val` split. Default: 0.
    """

    file: str = ""
    hold_out: int = 0

    def check(self, folder: Path | None) -> None:
        """Raises UserError if no folder was named, the file is not there or hold_out would leave nothing to train."""
        if self.hold_out < 0 or self.hold_out == 1:
            raise UserError(f"data set 'npz': hold_out must be 0 or at least 2, got {self.hold_out}")
        self._find_archive(folder)

    def sources(self, folder: Path | None) -> list[Path]:
        """The archive, whose change makes this another data set. Raises UserError if it is missing."""
        return [self._find_archive(folder)]

    def shape(self, folder: Path | None) -> DataShape | None:
        """The shape of the images, from the headers in the archive. No pixel is read.

        Returns None without a folder. Raises UserError if the file is missing or damaged, or if an array in it is
        missing or has the wrong type or shape.
        """
        if folder is None:
            return None
        path = self._find_archive(folder)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                headers = _read_headers(archive.zip)
                names = archive["class_names"] if "class_names" in headers else ()
        except UNREADABLE as error:
            raise UserError(f"data file {path} cannot be read: {error}") from None
        splits = ["train", "test"]
        if "val_images" in headers:
            splits.append("val")
        for split in splits:
            _check_arrays(path, headers, split)
        images = headers["train_images"]
        _, height, width, channels = images.shape
        classes = len(names) if "train_masks" in headers else 0
        return DataShape(height, width, channels, classes)

    def load(self, folder: Path | None = None, allocate: Allocate = in_memory) -> Dataset:
        """Read all splits.

        Raises UserError if the file is damaged, or if an array in it is missing or has the wrong type or shape.
        """
        path = self._find_archive(folder)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = dict(archive)
        except UNREADABLE as error:
            raise UserError(f"data file {path} cannot be read: {error}") from None
        class_names = tuple(map(str, arrays.get("class_names", ())))
        train = _take_split(path, arrays, "train", len(class_names))
        test = _take_split(path, arrays, "test", len(class_names))
        if "val_images" in arrays:
            val = _take_split(path, arrays, "val", len(class_names))
        else:
            train, val = _hold_out(train, self.hold_out)
        return Dataset(
            train=_copy_split("train", train, allocate),
            val=_copy_split("val", val, allocate),
            test=_copy_split("test", test, allocate),
            class_names=class_names,
        )

    def _find_archive(self, folder: Path | None) -> Path:
        if not self.file:
            raise UserError("data set 'npz' needs the option 'file', the archive's name below the data folder")
        content = repr(self.file)
        folder = require_folder(folder, "npz", content)
        path = folder / self.file
        if not path.is_file():
            archives = sorted(path.name for path in folder.glob("*.npz"))
            holds = ", ".join(archives) or "no .npz files"
            raise UserError(f"data file {path} does not exist; the folder holds {holds}")
        return path


def _read_headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    headers = {}
    for member in archive.namelist():
        if member.endswith(".npy"):
            # only the first block of a compressed member is unpacked
            with archive.open(member) as stream:
                headers[member.removesuffix(".npy")] = _read_header(stream)
    return headers


def _read_header(stream: IO[bytes]) -> Header:
    version = npy_format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy_format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = npy_format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"an array is in version {version} of the format, which holds no plain arrays")
    return Header(shape, dtype)


def _check_arrays(path: Path, arrays: Mapping[str, Header | NDArray], split: str) -> None:
    """Refuse a split whose arrays are missing or of the wrong type or shape. A header says as much as its array."""
    where = f"data file {path}: {split}"
    images = arrays.get(f"{split}_images")
    if images is None or not _are_images(images):
        raise UserError(f"{where}_images must be uint8 (N, H, W, C) with N > 0")
    masks = arrays.get(f"{split}_masks")
    if masks is None:
        return
    expected = images.shape[:3]
    if masks.dtype != np.uint8 or masks.shape != expected:
        raise UserError(f"{where}_masks must be uint8 {expected} like the images")


def _are_images(array: Header | NDArray) -> bool:
    if array.dtype != np.uint8 or len(array.shape) != 4:
        return False
    return array.shape[0] > 0


def _take_split(path: Path, arrays: Mapping[str, NDArray], split: str, classes: int) -> Split:
    _check_arrays(path, arrays, split)
    images = arrays[f"{split}_images"]
    masks = arrays.get(f"{split}_masks")
    if masks is None:
        return Split(images)
    labels = np.unique(masks)
    # every label but void is the index of a class
    indices = labels[labels != VOID]
    highest = indices.max(initial=0)
    if highest >= classes:
        found = f"{split}_masks has label {highest}"
        raise UserError(f"data file {path}: {found}, but class_names names {classes} classes")
    return Split(images, masks)


def _hold_out(train: Split, every: int) -> tuple[Split, Split]:
    """What still trains, and every `every`-th image of the training split; for 0 the second is empty."""
    held_out = np.zeros(len(train.images), bool)
    if every:
        # not the first one: a set of fewer than `every` images keeps them all
        held_out[every - 1 :: every] = True
    kept = _select(train, ~held_out)
    return kept, _select(train, held_out)


def _select(split: Split, chosen: NDArray[np.bool_]) -> Split:
    if split.masks is None:
        return Split(split.images[chosen])
    return Split(split.images[chosen], split.masks[chosen])


def _copy_split(name: str, split: Split, allocate: Allocate) -> Split:
    images = allocate(f"{name}_images", split.images.shape)
    images[...] = split.images
    if split.masks is None:
        return Split(images)
    masks = allocate(f"{name}_masks", split.masks.shape)
    masks[...] = split.masks
    return Split(images, masks)
