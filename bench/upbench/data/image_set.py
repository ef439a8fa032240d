"""What data sets made of image files share: finding, splitting and decoding them.

The functions that decode stand here and not in a file of their own: the source of the classes of a data set, of which
`ImageSet` is one, decides whether what was decoded before is still good.
"""

from __future__ import annotations

import hashlib
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upbench.data.base import SPLITS, Allocate, Dataset, DataShape, Split, in_memory
from upbench.data.refusals import describe_missing, list_absent, require_files, require_folder
from upbench.errors import UserError
from upbench.masks import VOID

VAL_SHARE = 0.1  # of the training images, where a set is distributed without a validation part of its own
CHUNK = 64  # images a thread decodes before it takes the next ones
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)  # Pillow's ways
WITHOUT_8_BITS = ("I", "F")  # the first letters of Pillow's modes of 16 and 32 bits


class Sample(NamedTuple):
    """One image and its mask, not yet read.

    Attributes:
        name: unique in the set. The hash of the name gives the sample's place in a split and, where the set has no
            lists, its split.
        image: mostly a path; whatever `read_image` of the set reads.
        mask: mostly a path; whatever `read_mask` of the set reads. None in a set without masks.
    """

    name: str
    image: Any
    mask: Any = None


@dataclass(frozen=True, kw_only=True)
class ImageSet(ABC):
    """Image files, decoded into squares.

    A subclass says with `required_files` and `list_samples` what the set is made of, with `name_classes` what its
    masks hold, and overrides the other methods where its files are not plain pictures.
    A split is in the order of the hashes of its samples' names, so `limit` takes a fixed mixture.

    Attributes:
        size: side of the squares in pixels, at least 1. The largest centred square of an image is resized to it,
            bilinear with antialiasing, and the same square of its mask by the nearest pixel. Default: 256.
        limit: the most samples of each split that are decoded, 0 for all. Default: 0.
        name: the name under which the set is registered.
        places: where the set may lie below the data folder; refusals name the first.
        hint: a clause that ends the refusal when something is missing.
        channels: values of a pixel of the decoded images.

    Raises:
        ValueError: size is below 1 or limit below 0.
    """

    size: int = 256
    limit: int = 0

    name: ClassVar[str]
    places: ClassVar[tuple[str, ...]] = ("",)
    hint: ClassVar[str] = ""
    channels: ClassVar[int] = 3

    def __post_init__(self) -> None:
        size, limit = self.size, self.limit
        if size < 1 or limit < 0:
            raise ValueError(f"size must be at least 1 and limit at least 0, got {size} and {limit}")

    @abstractmethod
    def required_files(self) -> tuple[str, ...]:
        """The files and folders of the set, below its place, as glob patterns of which the first match counts."""

    @abstractmethod
    def list_samples(self, home: Path) -> Mapping[str, Iterable[Sample]]:
        """The samples of "train", "val" and "test" below `home`, without decoding any.

        Raises UserError if a list is damaged.
        """

    def name_classes(self, home: Path | None) -> tuple[str, ...] | None:
        """The names of the classes in the order of their indices; none for a set without masks.

        Returns None if they stand in a file of the set and `home`, where the set lies, is None.
        Raises UserError if that file is damaged.
        """
        return ()

    def read_image(self, sample: Sample) -> Image.Image:
        """Decode the whole picture. Raises UserError if it is damaged."""
        return read_picture(sample.image)

    def read_mask(self, sample: Sample, classes: int) -> Image.Image:
        """Decode the whole mask. Raises UserError if it is damaged or has a label that means nothing."""
        return read_labels(sample.mask, self.map_labels(classes))

    def map_labels(self, classes: int) -> Mapping[int, int]:
        """The index of the class, or VOID, for each label that a file of a mask may hold."""
        indices = {label: label for label in range(classes)}
        indices[VOID] = VOID
        return indices

    def finish_mask(self, mask: NDArray) -> NDArray[np.uint8]:
        """Turn the resized mask, shape (size, size), into indices of classes."""
        return mask

    def choose_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the part of an image that is kept."""
        return centre_square(min(width, height), width, height)

    def find_home(self, folder: Path | None) -> Path:
        """The place below the data folder that holds the most of what is required.

        Raises UserError if something is missing from it.
        """
        required = self.required_files()
        first = Path(self.places[0], required[0])
        folder = require_folder(folder, self.name, str(first))
        homes = [folder / place for place in self.places]

        def count_absent(home: Path) -> int:
            """How much of what is required is not there."""
            return len(list_absent(home, required))

        # of equal ones the first, which is the place that refusals name
        home = min(homes, key=count_absent)
        absent = list_absent(home, required)
        if absent:
            raise describe_missing(self.name, home / absent[0], folder, self.hint)
        return home

    def sources(self, folder: Path | None) -> list[Path]:
        """The files and folders, with all that is in them, whose change makes this another data set."""
        home = self.find_home(folder)
        return [min(home.glob(pattern)) for pattern in self.required_files()]

    def shape(self, folder: Path | None) -> DataShape | None:
        """The shape of the images, known without decoding any.

        Returns None if the number of classes stands in a file of the set and no folder is given.
        Raises UserError if a folder is given and something is missing from it.
        """
        home = None if folder is None else self.find_home(folder)
        class_names = self.name_classes(home)
        if class_names is None:
            return None
        return DataShape(self.size, self.size, self.channels, len(class_names))

    def check(self, folder: Path | None) -> None:
        """Raises UserError if a list, a folder or a listed file is not there."""
        self._list_splits(self.find_home(folder))

    def load(self, folder: Path | None = None, allocate: Allocate = in_memory) -> Dataset:
        """Decode all splits. Raises UserError, with its name, for what is missing or damaged."""
        home = self.find_home(folder)
        samples = self._list_splits(home)
        class_names = self.name_classes(home) or ()
        classes = len(class_names)
        splits = {}
        for split in SPLITS:
            splits[split] = self._decode_split(split, samples[split], classes, allocate)
        return Dataset(**splits, class_names=class_names)

    def _list_splits(self, home: Path) -> dict[str, list[Sample]]:
        """The samples of each split in their order, checked and limited."""
        listed = self.list_samples(home)
        splits = {}
        split_of: dict[str, str] = {}  # by the name of the sample
        for split in SPLITS:
            samples = sorted(listed[split], key=_place_in_split)
            if not samples:
                raise UserError(f"data set {self.name!r} has no {split} images in {home}")
            for sample in samples:
                name = sample.name
                other = split_of.setdefault(name, split)
                if other != split:
                    raise UserError(f"data set {self.name!r} in {home}: {name} is in both {other} and {split}")
            # all of them, whatever the limit: half a download is no data set
            require_files(_paths_of(samples), self.name)
            stop = self.limit or None
            splits[split] = samples[:stop]
        return splits

    def _decode_split(self, split: str, samples: Sequence[Sample], classes: int, allocate: Allocate) -> Split:
        count = len(samples)
        shape = (count, self.size, self.size)
        images = allocate(f"{split}_images", (*shape, self.channels))
        masks = None
        if classes:
            masks = allocate(f"{split}_masks", shape)

        def decode_chunk(start: int) -> None:
            """Decode CHUNK samples, or those that are left, into their places."""
            stop = min(start + CHUNK, count)
            for index in range(start, stop):
                sample = samples[index]
                image = self.read_image(sample)
                square = self._cut_square(image, Image.Resampling.BILINEAR)
                # Pillow's grey images have no third dimension
                images[index] = square.reshape(images.shape[1:])
                if masks is not None:
                    masks[index] = self._decode_mask(sample, classes, image.size)

        # threads and not processes: Pillow decodes and resizes outside Python's lock
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(decode_chunk, range(0, count, CHUNK)):
                pass  # asking for the result raises what the thread raised
        return Split(images, masks)

    def _decode_mask(self, sample: Sample, classes: int, image_size: tuple[int, int]) -> NDArray[np.uint8]:
        mask = self.read_mask(sample, classes)
        if mask.size != image_size:
            of_image = "{} x {}".format(*image_size)
            of_mask = "{} x {}".format(*mask.size)
            sizes = f"the image has {of_image} pixels, its mask {of_mask}"
            raise UserError(f"data set {self.name!r}: {sample.name}: {sizes}")
        # any other resampling would mix labels into a third one
        square = self._cut_square(mask, Image.Resampling.NEAREST)
        return self.finish_mask(square)

    def _cut_square(self, image: Image.Image, resampling: Image.Resampling) -> NDArray[np.uint8]:
        width, height = image.size
        box = self.choose_box(width, height)
        # cropped first: what resize is told to leave out still bleeds into the margin
        square = image.crop(box)
        return np.asarray(square.resize((self.size, self.size), resampling))


def centre_square(edge: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the centred square with this edge."""
    left = (width - edge) // 2
    top = (height - edge) // 2
    right = left + edge
    bottom = top + edge
    return left, top, right, bottom


def hash_to_fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name alone, and is evenly distributed over many names."""
    name_bytes = os.fsencode(name)
    digest = hashlib.sha256(name_bytes).digest()
    number = int.from_bytes(digest[:8], "big")
    return number / 2**64


def _place_in_split(sample: Sample) -> float:
    return hash_to_fraction(sample.name)


def divide(samples: Iterable[Sample], **shares: float) -> dict[str, list[Sample]]:
    """Divide samples into splits by the hashes of their names. A sample keeps its split when others come or go.

    Args:
        samples: what is divided.
        **shares: the share of each split. What is left over is "train".

    Returns:
        The samples of each split: `divide(samples, val=0.1)` gives about a tenth to "val", the others to "train".
    """
    splits: dict[str, list[Sample]] = {"train": []}
    for split in shares:
        splits[split] = []
    for sample in samples:
        chosen = "train"
        place = hash_to_fraction(sample.name)
        for split, share in shares.items():
            if place < share:
                chosen = split
                break
            place -= share
        splits[chosen].append(sample)
    return splits


def _paths_of(samples: Iterable[Sample]) -> Iterator[tuple[str, Path]]:
    """The files of the samples, each with the name of its sample. Some sets have images or masks that are no files."""
    for sample in samples:
        for path in (sample.image, sample.mask):
            if isinstance(path, Path):
                yield sample.name, path


def read_list(path: Path) -> list[str]:
    """The lines of a text file, without empty ones and those that begin with `#`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"list {path} cannot be read: {error}") from None
    lines = []
    # not splitlines, which also splits at rarer characters
    for line in text.split("\n"):
        content = line.strip()
        if content and not line.startswith("#"):
            lines.append(content)
    return lines


def read_picture(path: Path, mode: str = "RGB") -> Image.Image:
    """Decode a picture into this mode of Pillow.

    Raises UserError if it is damaged or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            # converting these would cut off all values above 255
            if not image.mode.startswith(WITHOUT_8_BITS):
                return image.convert(mode)
    except UNREADABLE as error:
        raise UserError(f"image file {path} cannot be read: {error}") from None
    raise UserError(f"image file {path} has more than 8 bits a channel")


def read_labels(path: Path, classes_by_label: Mapping[int, int]) -> Image.Image:
    """Decode a mask: a grey or palette picture whose pixel values are the keys of `classes_by_label`.

    Returns the indices of the classes, in mode L.
    Raises UserError if the file is damaged, is of another mode or has another label.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except UNREADABLE as error:
        raise UserError(f"mask file {path} cannot be read: {error}") from None
    if image.mode not in ("L", "P"):
        raise UserError(f"mask file {path} is of mode {image.mode}; labels are grey or palette pictures of 8 bits")
    labels = np.asarray(image)
    # of a whole mask, and not of the square that is kept: a wrong label anywhere is a wrong file
    counts = np.bincount(labels.ravel())
    present = np.flatnonzero(counts)
    for label in present.tolist():
        if label not in classes_by_label:
            allowed = ", ".join(map(str, sorted(classes_by_label)))
            raise UserError(f"mask file {path} has label {label}; allowed: {allowed}")
    classes = np.zeros(256, np.uint8)
    for label, index in classes_by_label.items():
        classes[label] = index
    return Image.fromarray(classes[labels])
