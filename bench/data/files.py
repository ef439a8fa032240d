"""What data sets made of image files share: finding, splitting and decoding them, and saying what is missing."""

from __future__ import annotations

import hashlib
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.base import SPLITS, VOID, Allocate, Dataset, Split, in_memory
from bench.errors import UserError

VAL_SHARE = 0.1  # of the training images, where a set is distributed without a validation part of its own
CHUNK = 64  # images a thread decodes before it takes the next ones
SHOWN = 8  # names of a folder that a refusal lists
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)  # Pillow's ways


class Sample(NamedTuple):
    """One image and its mask, not yet read: mostly two paths.

    name: unique in the set; its hash gives the sample's place in a split and, where the set has no lists, its split.
    """

    name: str
    image: Any
    mask: Any = None


class Listing(NamedTuple):
    """The samples of "train", "val" and "test", and the names of the classes; none for a set without masks."""

    splits: Mapping[str, Iterable[Sample]]
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageSet(ABC):
    """A data set of image files, decoded into squares.

    size: side of the squares in pixels. The largest centred square of an image is resized to it, bilinear with
    antialiasing, and the same square of its mask by the nearest pixel. limit: as many samples of each split at most,
    0 = all of them. A split is in the order of the hashes of its samples' names, so `limit` takes a fixed mixture.
    Raises ValueError for a size below 1 or a limit below 0.
    """

    size: int = 256
    limit: int = 0

    name: ClassVar[str]  # as registered
    places: ClassVar[tuple[str, ...]] = ("",)  # where it may lie below the data folder; the first is what refusals say
    hint: ClassVar[str] = ""  # added to the refusal when something is missing
    channels: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.size < 1 or self.limit < 0:
            raise ValueError(f"size must be at least 1 and limit at least 0, got {self.size} and {self.limit}")

    @abstractmethod
    def needs(self) -> tuple[str, ...]:
        """The files and folders it is made of, below its place, as glob patterns of which the first match counts."""

    @abstractmethod
    def listing(self, home: Path) -> Listing:
        """All samples, without decoding any. Raises UserError if a list is damaged."""

    def image(self, sample: Sample) -> Image.Image:
        """The whole picture, RGB."""
        return read_image(sample.image)

    def mask(self, sample: Sample, classes: int) -> Image.Image:
        """The whole mask. Raises UserError for a label that means nothing."""
        return read_mask(sample.mask, self.meaning(classes))

    def meaning(self, classes: int) -> Mapping[int, int]:
        """The label in a mask's file -> the index of its class, or VOID."""
        return {**{label: label for label in range(classes)}, VOID: VOID}

    def labels(self, mask: NDArray) -> NDArray[np.uint8]:
        """The resized mask (size, size) -> class indices."""
        return mask

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of what is kept of an image."""
        return centred(min(width, height), width, height)

    def home(self, folder: Path | None) -> Path:
        """The place below `folder` that holds the most of what is needed. Raises UserError if something is missing."""
        folder = named(folder, self.name, str(Path(self.places[0], self.needs()[0])))
        homes = [folder / place for place in self.places]
        home = max(homes, key=lambda home: sum(any(home.glob(need)) for need in self.needs()))
        for need in self.needs():
            if not any(home.glob(need)):
                raise missing(self.name, home / need, folder, self.hint)
        return home

    def sources(self, folder: Path | None) -> list[Path]:
        """The files and folders, with all that is in them, whose change makes this another data set."""
        home = self.home(folder)
        return [min(home.glob(need)) for need in self.needs()]

    def check(self, folder: Path | None) -> None:
        """Raises UserError if a list, a folder or a listed file is not there."""
        self._listed(folder)

    def load(self, folder: Path | None = None, allocate: Allocate = in_memory) -> Dataset:
        """Decode all splits. Raises UserError for what is missing or damaged, by its name."""
        listing = self._listed(folder)
        splits = {name: self._decode(name, listing, allocate) for name in SPLITS}
        return Dataset(**splits, class_names=listing.class_names)

    def _listed(self, folder: Path | None) -> Listing:
        home = self.home(folder)
        splits, class_names = self.listing(home)
        ordered = {name: sorted(splits[name], key=lambda sample: chance(sample.name)) for name in SPLITS}
        seen: dict[str, str] = {}
        for split, samples in ordered.items():
            if not samples:
                raise UserError(f"data set {self.name!r} has no {split} images in {home}")
            for sample in samples:
                if (other := seen.setdefault(sample.name, split)) != split:
                    raise UserError(f"data set {self.name!r} in {home}: {sample.name} is in both {other} and {split}")
            check_there(samples, self.name)
        return Listing({name: samples[: self.limit or None] for name, samples in ordered.items()}, class_names)

    def _decode(self, split: str, listing: Listing, allocate: Allocate) -> Split:
        samples, classes = list(listing.splits[split]), len(listing.class_names)
        images = allocate(f"{split}_images", (len(samples), self.size, self.size, self.channels))
        masks = allocate(f"{split}_masks", (len(samples), self.size, self.size)) if classes else None

        def fill(start: int) -> None:
            for index in range(start, min(start + CHUNK, len(samples))):
                image = self.image(samples[index])
                images[index] = self._square(image, Image.Resampling.BILINEAR).reshape(images.shape[1:])
                if masks is not None:
                    mask = self.mask(samples[index], classes)
                    if mask.size != image.size:
                        sizes = "the image has {} x {} pixels, its mask {} x {}".format(*image.size, *mask.size)
                        raise UserError(f"data set {self.name!r}: {samples[index].name}: {sizes}")
                    masks[index] = self.labels(self._square(mask, Image.Resampling.NEAREST))

        with ThreadPoolExecutor() as pool:  # Pillow decodes and resizes outside Python's lock
            for _ in pool.map(fill, range(0, len(samples), CHUNK)):
                pass
        return Split(images, masks)

    def _square(self, image: Image.Image, how: Image.Resampling) -> NDArray[np.uint8]:
        # cropped first: what resize is told to leave out still bleeds into the margin
        return np.asarray(image.crop(self.box(*image.size)).resize((self.size, self.size), how))


def centred(edge: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the centred square with this edge."""
    left, top = (width - edge) // 2, (height - edge) // 2
    return left, top, left + edge, top + edge


def chance(name: str) -> float:
    """A number in [0, 1), from the name alone."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") / 2**64


def divide(samples: Iterable[Sample], **shares: float) -> dict[str, list[Sample]]:
    """Split by the hash of the name: `divide(samples, val=0.1)` -> {"val": about a tenth, "train": the others}.

    A sample keeps its split when others come or go.
    """
    splits: dict[str, list[Sample]] = {"train": [], **{split: [] for split in shares}}
    for sample in samples:
        place = chance(sample.name)
        for split, share in shares.items():
            if place < share:
                splits[split].append(sample)
                break
            place -= share
        else:
            splits["train"].append(sample)
    return splits


def named(folder: Path | None, name: str, what: str) -> Path:
    """The folder the user named. Raises UserError if it was not named or does not exist."""
    if folder is None:
        raise UserError(f"data set {name!r} needs the folder that holds {what}: name it with --data FOLDER")
    if not folder.is_dir():
        raise UserError(f"data folder {folder} does not exist")
    return folder


def missing(name: str, path: Path, folder: Path, hint: str = "") -> UserError:
    """The refusal that says what was expected where, and what is there instead."""
    near = path.parent
    while not near.is_dir():
        near = near.parent
    found = sorted(entry.name for entry in near.iterdir())
    holds = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    said = f"data set {name!r} expects {path.relative_to(folder)} below {folder}; it is not there"
    return UserError(f"{said}; {near} holds {holds or 'nothing'}{hint and f'; {hint}'}")


def check_there(samples: Iterable[Sample], name: str) -> None:
    """Raises UserError for the first sample whose image or mask is a path at which there is no file."""
    there = cache(lambda parent: {path.name for path in parent.iterdir()} if parent.is_dir() else set())
    for sample in samples:
        for path in (sample.image, sample.mask):
            if isinstance(path, Path) and path.name not in there(path.parent):
                raise UserError(f"data set {name!r} lists {sample.name}, but {path} does not exist")


def read_list(path: Path) -> list[str]:
    """The lines of a text file, without empty ones and those that begin with `#`."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"list {path} cannot be read: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def read_image(path: Path, mode: str = "RGB") -> Image.Image:
    """The picture in this mode. Raises UserError if it is damaged or has more than 8 bits a channel."""
    try:
        with Image.open(path) as image:
            if image.mode[0] not in "IF":
                return image.convert(mode)
    except UNREADABLE as error:
        raise UserError(f"image file {path} cannot be read: {error}") from None
    raise UserError(f"image file {path} has more than 8 bits a channel")


def read_mask(path: Path, meaning: Mapping[int, int]) -> Image.Image:
    """The class indices, mode L, of a grey or palette picture whose pixel values mean the keys of `meaning`.

    Raises UserError if it is damaged, is another kind of picture or has other values.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except UNREADABLE as error:
        raise UserError(f"mask file {path} cannot be read: {error}") from None
    if image.mode not in ("L", "P"):
        raise UserError(f"mask file {path} is of mode {image.mode}; labels are grey or palette pictures of 8 bits")
    indices = np.asarray(image)
    unknown = [label for label in np.flatnonzero(np.bincount(indices.ravel())).tolist() if label not in meaning]
    if unknown:
        raise UserError(f"mask file {path} has label {unknown[0]}; allowed: {', '.join(map(str, sorted(meaning)))}")
    table = np.zeros(256, np.uint8)
    table[list(meaning)] = list(meaning.values())
    return Image.fromarray(table[indices])
