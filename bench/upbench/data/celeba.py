"""CelebA faces, aligned and cropped, for generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from upbench.data.base import SPLITS
from upbench.data.image_set import ImageSet, Sample, centre_square, read_list
from upbench.errors import UserError

CROP = 148  # of the 178 x 218 pixels, as in Larsen et al., arXiv 1512.09300, and most work since
SPLIT_BY_NUMBER = {"0": "train", "1": "val", "2": "test"}  # in list_eval_partition.txt


@dataclass(frozen=True, kw_only=True)
class CelebA(ImageSet):
    """CelebA, 202,599 aligned faces without masks, for generation.

    Layout: celeba/ with img_align_celeba/*.jpg and list_eval_partition.txt. Source: Liu et al., ICCV 2015. Licence:
    for non-commercial research only.

    The splits are the official partition. Only the centred 148 x 148 pixels are kept, then resized.

    Attributes:
        size: side of the squares that images are resized to, in pixels, at least 1. Default: 64.
        limit: the most samples of each split, 0 for all. Default: 0.
    """

    size: int = 64

    name: ClassVar[str] = "celeba"
    places: ClassVar[tuple[str, ...]] = ("celeba", "CelebA", "")

    def required_files(self) -> tuple[str, ...]:
        """The list of the partition and the folder of the images."""
        return "list_eval_partition.txt", "img_align_celeba"

    def choose_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The centred 148 x 148 pixels, which show the face without most of the background."""
        return centre_square(min(CROP, width, height), width, height)

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The images that the list of the partition names."""
        path = home / "list_eval_partition.txt"
        images = home / "img_align_celeba"
        splits: dict[str, list[Sample]] = {split: [] for split in SPLITS}
        for line in read_list(path):
            name, _, rest = line.partition(" ")
            number = rest.strip()
            split = SPLIT_BY_NUMBER.get(number)
            if split is None:
                raise UserError(f"list {path} has the line {line!r}; expected: a file name and 0, 1 or 2")
            sample = Sample(name, images / name)
            splits[split].append(sample)
        return splits
