"""CelebA faces, aligned and cropped, for generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.data.base import SPLITS
from bench.data.files import ImageSet, Listing, Sample, centred, read_list
from bench.errors import UserError

CROP = 148  # of the 178 x 218 pixels, as in Larsen et al., arXiv 1512.09300, and most work since


@dataclass(frozen=True, kw_only=True)
class CelebA(ImageSet):
    """CelebA, 202,599 aligned faces, no masks. Layout: celeba/ with img_align_celeba/*.jpg and
    list_eval_partition.txt. Liu et al., ICCV 2015; for non-commercial research only.

    The official partition. Only the centred 148 x 148 pixels are kept, then resized.
    """

    size: int = 64

    name: ClassVar[str] = "celeba"
    places: ClassVar[tuple[str, ...]] = ("celeba", "CelebA", "")

    def needs(self) -> tuple[str, ...]:
        return "list_eval_partition.txt", "img_align_celeba"

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        return centred(min(CROP, width, height), width, height)

    def listing(self, home: Path) -> Listing:
        path = home / "list_eval_partition.txt"
        splits: dict[str, list[Sample]] = {split: [] for split in SPLITS}
        by_number = dict(zip("012", SPLITS, strict=True))
        for line in read_list(path):
            name, _, number = line.partition(" ")
            if number.strip() not in by_number:
                raise UserError(f"list {path} has the line {line!r}; expected: a file name and 0, 1 or 2")
            splits[by_number[number.strip()]].append(Sample(name, home / "img_align_celeba" / name))
        return Listing(splits)
