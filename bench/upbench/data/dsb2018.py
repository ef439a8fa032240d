"""Nuclei of the 2018 Data Science Bowl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upbench.data.image_set import ImageSet, Sample, divide, read_picture
from upbench.data.refusals import describe_missing
from upbench.errors import UserError

CLASS_NAMES = ("background", "nucleus", "boundary")
BACKGROUND, NUCLEUS, BOUNDARY = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Dsb2018(ImageSet):
    """Cell nuclei of the 2018 Data Science Bowl and their boundaries, for segmentation.

    Layout: stage1_train/ID/images/*.png and stage1_train/ID/masks/*.png, one nucleus a file. Source: Caicedo et al.,
    Nature Methods 2019 (BBBC038). Licence: CC0.

    Of the 670 IDs 15 % are test and 15 % val, by hash: the masks of the official test part were not distributed with
    it. Boundary: pixels of a nucleus, after resizing, one of whose four neighbours is not of the same nucleus.
    Where masks overlap, which they should not, the last file name wins.

    Attributes:
        size: side of the squares that images and masks are resized to, in pixels, at least 1. Default: 128.
        limit: the most samples of each split, 0 for all. Default: 0.
    """

    size: int = 128

    name: ClassVar[str] = "dsb2018"
    places: ClassVar[tuple[str, ...]] = ("", "dsb2018", "data-science-bowl-2018")

    def required_files(self) -> tuple[str, ...]:
        """The folder of the first stage's training part."""
        return ("stage1_train",)

    def name_classes(self, home: Path | None) -> tuple[str, ...]:
        """Background, nucleus and boundary."""
        return CLASS_NAMES

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The IDs, each with its picture and the files of its nuclei."""
        samples = []
        parent = home / "stage1_train"
        for folder in sorted(parent.iterdir()):
            if not folder.is_dir():
                continue
            images = self._list_pictures(folder / "images", home)
            masks = self._list_pictures(folder / "masks", home)
            samples.append(Sample(folder.name, images[0], masks))
        return divide(samples, val=0.15, test=0.15)

    def read_mask(self, sample: Sample, classes: int) -> Image.Image:
        """The number of the nucleus that each pixel belongs to, 0 for none."""
        numbers = np.zeros(0, np.uint16)  # 16 bits: some images have more than 255 nuclei
        for number, path in enumerate(sample.mask, 1):
            picture = read_picture(path, "L")
            nucleus = np.asarray(picture)
            if number == 1:
                numbers = np.zeros(nucleus.shape, np.uint16)
            if nucleus.shape != numbers.shape:
                raise UserError(f"mask file {path} is not as large as the others beside it")
            numbers[nucleus > 0] = number
        return Image.fromarray(numbers)

    def finish_mask(self, mask: NDArray) -> NDArray[np.uint8]:
        """Turn the numbers of nuclei into classes. Touching nuclei are told apart by their boundaries."""
        # the outermost pixels are repeated, so that the border of the image is no boundary
        framed = np.pad(mask, 1, mode="edge")
        rows = framed[:, 1:-1]
        columns = framed[1:-1]
        neighbours = (
            rows[:-2],  # above
            rows[2:],  # below
            columns[:, :-2],  # left
            columns[:, 2:],  # right
        )
        at_edge = np.zeros(mask.shape, bool)
        for neighbour in neighbours:
            at_edge |= neighbour != mask
        classes = np.full(mask.shape, NUCLEUS, np.uint8)
        classes[at_edge] = BOUNDARY
        # last, because the background beside a nucleus is at an edge too
        classes[mask == 0] = BACKGROUND
        return classes

    def _list_pictures(self, folder: Path, home: Path) -> list[Path]:
        pictures = sorted(folder.glob("*.png"))
        if not pictures:
            raise describe_missing(self.name, folder / "*.png", home)
        return pictures
