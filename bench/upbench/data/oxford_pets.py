"""Oxford-IIIT Pets with their trimaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from upbench.data.image_set import VAL_SHARE, ImageSet, Sample, divide, read_list
from upbench.masks import VOID

PET, BACKGROUND, BORDER = 1, 2, 3  # in the trimaps


@dataclass(frozen=True, kw_only=True)
class OxfordPets(ImageSet):
    """Oxford-IIIT Pets, 37 breeds as one class, for segmentation.

    Layout: oxford-iiit-pet/ with images, annotations/trimaps and annotations/{trainval,test}.txt. Source: Parkhi et
    al., CVPR 2012. Licence: CC BY-SA 4.0.

    Test: the list test. Val: a tenth of trainval, chosen by hash.

    Attributes:
        size: side of the squares that images and masks are resized to, in pixels, at least 1. Default: 128.
        limit: the most samples of each split, 0 for all. Default: 0.
        border: what the border of a pet is. "class": one of the three classes background, pet and border, as in most
            tests on this set, and because the border is where up-sampling layers differ. "void": the border, "not
            classified" to the authors, does not count, and the classes are background and pet. Default: "class".
    """

    size: int = 128
    border: Literal["class", "void"] = "class"

    name: ClassVar[str] = "oxford_pets"
    places: ClassVar[tuple[str, ...]] = ("oxford-iiit-pet", "oxford_pets", "")

    def required_files(self) -> tuple[str, ...]:
        """The two lists, the trimaps and the images."""
        return "annotations/trainval.txt", "annotations/test.txt", "annotations/trimaps", "images"

    def name_classes(self, home: Path | None) -> tuple[str, ...]:
        """Background and pet, and the border if it is a class."""
        if self.border == "class":
            return "background", "pet", "border"
        return "background", "pet"

    def map_labels(self, classes: int) -> Mapping[int, int]:
        """The labels of the trimaps, which count from 1 and begin with the pet."""
        border = 2 if self.border == "class" else VOID
        return {BACKGROUND: 0, PET: 1, BORDER: border}

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The images that the two lists name."""
        splits = divide(_read_samples(home, "trainval"), val=VAL_SHARE)
        splits["test"] = _read_samples(home, "test")
        return splits


def _read_samples(home: Path, list_name: str) -> list[Sample]:
    images = home / "images"
    annotations = home / "annotations"
    trimaps = annotations / "trimaps"
    samples = []
    for line in read_list(annotations / f"{list_name}.txt"):
        stem = line.split()[0]  # the numbers of class, species and breed follow
        image = images / f"{stem}.jpg"
        trimap = trimaps / f"{stem}.png"
        samples.append(Sample(stem, image, trimap))
    return samples
