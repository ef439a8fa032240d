"""PASCAL VOC 2012 segmentation, plain or with the augmented training list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from upbench.data.image_set import VAL_SHARE, ImageSet, Sample, divide, read_list

CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
MASKS_BY_LIST = {"train": "SegmentationClass", "val": "SegmentationClass", "trainaug": "SegmentationClassAug"}


@dataclass(frozen=True, kw_only=True)
class Voc2012(ImageSet):
    """PASCAL VOC 2012 with 21 classes, for segmentation.

    Layout: VOCdevkit/VOC2012/ with JPEGImages, SegmentationClass and ImageSets/Segmentation/{train,val}.txt. Source:
    Everingham et al., IJCV 2010. Licence: the images are under Flickr's terms.

    Test: the list val. Val: a tenth of the training list, chosen by hash. Void: the borders of objects.

    Attributes:
        size: side of the squares that images and masks are resized to, in pixels, at least 1. Default: 256.
        limit: the most samples of each split, 0 for all. Default: 0.
        train_list: the images that train. "train": those of ImageSets/Segmentation/train.txt, with the masks in
            SegmentationClass. "trainaug": the 10,582 images of ImageSets/Segmentation/trainaug.txt with the masks in
            SegmentationClassAug, which are those of SBD (Hariharan et al., ICCV 2011) as they are passed around.
            Default: "train".
    """

    train_list: Literal["train", "trainaug"] = "train"

    name: ClassVar[str] = "voc2012"
    places: ClassVar[tuple[str, ...]] = ("VOCdevkit/VOC2012", "VOC2012", "")

    def required_files(self) -> tuple[str, ...]:
        """The two lists, the images and the masks."""
        lists = (f"ImageSets/Segmentation/{self.train_list}.txt", "ImageSets/Segmentation/val.txt")
        folders = ("JPEGImages", "SegmentationClass")
        if self.train_list == "trainaug":
            return (*lists, *folders, "SegmentationClassAug")
        return (*lists, *folders)

    def name_classes(self, home: Path | None) -> tuple[str, ...]:
        """The names of the 21 classes."""
        return CLASS_NAMES

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The images that the two lists name."""
        splits = divide(_read_samples(home, self.train_list), val=VAL_SHARE)
        splits["test"] = _read_samples(home, "val")
        return splits


def _read_samples(home: Path, list_name: str) -> list[Sample]:
    images = home / "JPEGImages"
    masks = home / MASKS_BY_LIST[list_name]
    lists = home / "ImageSets" / "Segmentation"
    samples = []
    for line in read_list(lists / f"{list_name}.txt"):
        # some augmented lists give the paths of image and mask
        first = line.split()[0]
        stem = Path(first).stem
        image = images / f"{stem}.jpg"
        mask = masks / f"{stem}.png"
        samples.append(Sample(stem, image, mask))
    return samples
