"""Nuclei of the 2018 Data Science Bowl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.files import ImageSet, Listing, Sample, divide, missing, read_image
from bench.errors import UserError

NUCLEUS, BOUNDARY = 1, 2


@dataclass(frozen=True, kw_only=True)
class Dsb2018(ImageSet):
    """2018 Data Science Bowl, cell nuclei: background, nucleus, boundary. Layout: stage1_train/ID/images/*.png and
    stage1_train/ID/masks/*.png, one nucleus a file. Caicedo et al., Nature Methods 2019 (BBBC038); CC0.

    Of the 670 IDs 15 % are test and 15 % val, by hash: the masks of the official test part were not distributed with
    it. Boundary: pixels of a nucleus, after resizing, one of whose four neighbours is not of the same nucleus.
    Where masks overlap, which they should not, the last file name wins.
    """

    size: int = 128

    name: ClassVar[str] = "dsb2018"
    places: ClassVar[tuple[str, ...]] = ("", "dsb2018", "data-science-bowl-2018")

    def needs(self) -> tuple[str, ...]:
        return ("stage1_train",)

    def listing(self, home: Path) -> Listing:
        samples = []
        for folder in sorted(path for path in (home / "stage1_train").iterdir() if path.is_dir()):
            images, masks = (sorted((folder / kind).glob("*.png")) for kind in ("images", "masks"))
            for kind, found in (("images", images), ("masks", masks)):
                if not found:
                    raise missing(self.name, folder / kind / "*.png", home)
            samples.append(Sample(folder.name, images[0], masks))
        return Listing(divide(samples, val=0.15, test=0.15), ("background", "nucleus", "boundary"))

    def mask(self, sample: Sample, classes: int) -> Image.Image:
        """The number of the nucleus that each pixel belongs to, 0 for none."""
        numbers = np.zeros(0, np.uint16)
        for number, path in enumerate(sample.mask, 1):
            nucleus = np.asarray(read_image(path, "L"))
            if number == 1:
                numbers = np.zeros(nucleus.shape, np.uint16)
            if nucleus.shape != numbers.shape:
                raise UserError(f"mask file {path} is not as large as the others beside it")
            numbers[nucleus > 0] = number
        return Image.fromarray(numbers)

    def labels(self, mask: NDArray) -> NDArray[np.uint8]:
        framed = np.pad(mask, 1, mode="edge")
        around = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
        edge = np.logical_or.reduce([neighbour != mask for neighbour in around])
        return np.where(mask == 0, 0, np.where(edge, BOUNDARY, NUCLEUS)).astype(np.uint8)
