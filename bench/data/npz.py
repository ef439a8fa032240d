"""The suite's own file format: one NumPy archive with three splits."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.base import VOID, Allocate, Dataset, Split, in_memory
from bench.data.files import named
from bench.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Npz:
    """`file`, below the data folder, holds `{train,val,test}_images`, uint8 (N, H, W, C), and for segmentation
    `{train,val,test}_masks`, uint8 (N, H, W) with 255 = void, and `class_names`.

    A missing `val` is every hold_out-th training image, which then does not train, or empty if hold_out is 0.
    """

    file: str = ""
    hold_out: int = 0

    def check(self, folder: Path | None) -> None:
        """Raises UserError if no folder was named, the file is not there or hold_out would leave nothing to train."""
        if self.hold_out < 0 or self.hold_out == 1:
            raise UserError(f"data set 'npz': hold_out must be 0 or at least 2, got {self.hold_out}")
        self._path(folder)

    def sources(self, folder: Path | None) -> list[Path]:
        """The file. Raises what `check` raises."""
        return [self._path(folder)]

    def load(self, folder: Path | None = None, allocate: Allocate = in_memory) -> Dataset:
        """Raises UserError if the file is damaged or an array in it is missing or has the wrong type or shape."""
        path = self._path(folder)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"data file {path} cannot be read: {error}") from None
        names = tuple(map(str, arrays.get("class_names", ())))
        train, test = (_split(path, arrays, name, len(names)) for name in ("train", "test"))
        if "val_images" in arrays:
            val = _split(path, arrays, "val", len(names))
        else:
            train, val = _hold_out(train, self.hold_out)
        splits = {"train": train, "val": val, "test": test}
        return Dataset(**{name: _place(name, split, allocate) for name, split in splits.items()}, class_names=names)

    def _path(self, folder: Path | None) -> Path:
        if not self.file:
            raise UserError("data set 'npz' needs the option 'file', the archive's name below the data folder")
        folder = named(folder, "npz", repr(self.file))
        path = folder / self.file
        if not path.is_file():
            found = ", ".join(sorted(p.name for p in folder.glob("*.npz"))) or "no .npz files"
            raise UserError(f"data file {path} does not exist; the folder holds {found}")
        return path


def _split(path: Path, arrays: dict[str, NDArray], name: str, classes: int) -> Split:
    images, masks = arrays.get(f"{name}_images"), arrays.get(f"{name}_masks")
    if images is None or images.dtype != np.uint8 or images.ndim != 4 or len(images) == 0:
        raise UserError(f"data file {path}: {name}_images must be uint8 (N, H, W, C) with N > 0")
    if masks is None:
        return Split(images)
    if masks.dtype != np.uint8 or masks.shape != images.shape[:3]:
        raise UserError(f"data file {path}: {name}_masks must be uint8 {images.shape[:3]} like the images")
    labels = np.unique(masks)
    if (highest := labels[labels != VOID].max(initial=0)) >= classes:
        raise UserError(f"data file {path}: {name}_masks has label {highest}, but class_names names {classes} classes")
    return Split(images, masks)


def _hold_out(train: Split, every: int) -> tuple[Split, Split]:
    """What still trains, and every `every`-th item of it, or none for 0."""
    held = np.zeros(len(train.images), bool)
    if every:
        held[every - 1 :: every] = True
    kept, out = (Split(train.images[m], None if train.masks is None else train.masks[m]) for m in (~held, held))
    return kept, out


def _place(name: str, split: Split, allocate: Allocate) -> Split:
    images = allocate(f"{name}_images", split.images.shape)
    images[...] = split.images
    if split.masks is None:
        return Split(images)
    masks = allocate(f"{name}_masks", split.masks.shape)
    masks[...] = split.masks
    return Split(images, masks)
