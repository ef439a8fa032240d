"""Oxford-IIIT Pets with their trimaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from bench.data.base import VOID
from bench.data.files import VAL_SHARE, ImageSet, Listing, Sample, divide, read_list

PET, BACKGROUND, BORDER = 1, 2, 3  # in the trimaps


@dataclass(frozen=True, kw_only=True)
class OxfordPets(ImageSet):
    """Oxford-IIIT Pets, 37 breeds as one class. Layout: oxford-iiit-pet/ with images, annotations/trimaps and
    annotations/{trainval,test}.txt. Parkhi et al., CVPR 2012; CC BY-SA 4.0.

    Test: the list test. Val: a tenth of trainval, chosen by hash. border="class", the default: background, pet
    and border, as most tests on this set have it, and because the border is where up-sampling layers differ.
    border="void": background and pet; the border, "not classified" to the authors, does not count.
    """

    size: int = 128
    border: Literal["class", "void"] = "class"

    name: ClassVar[str] = "oxford_pets"
    places: ClassVar[tuple[str, ...]] = ("oxford-iiit-pet", "oxford_pets", "")

    def needs(self) -> tuple[str, ...]:
        return "annotations/trainval.txt", "annotations/test.txt", "annotations/trimaps", "images"

    def meaning(self, classes: int) -> Mapping[int, int]:
        return {BACKGROUND: 0, PET: 1, BORDER: 2 if self.border == "class" else VOID}

    def listing(self, home: Path) -> Listing:
        def samples(name: str) -> list[Sample]:
            stems = [line.split()[0] for line in read_list(home / "annotations" / f"{name}.txt")]
            return [
                Sample(stem, home / "images" / f"{stem}.jpg", home / "annotations" / "trimaps" / f"{stem}.png")
                for stem in stems
            ]

        names = ("background", "pet", "border") if self.border == "class" else ("background", "pet")
        return Listing({**divide(samples("trainval"), val=VAL_SHARE), "test": samples("test")}, names)
