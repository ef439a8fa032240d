"""PASCAL VOC 2012 segmentation, plain or with the augmented training list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from bench.data.files import VAL_SHARE, ImageSet, Listing, Sample, divide, read_list

CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Voc2012(ImageSet):
    """PASCAL VOC 2012 segmentation: 21 classes. Layout: VOCdevkit/VOC2012/ with JPEGImages, SegmentationClass and
    ImageSets/Segmentation/{train,val}.txt. Everingham et al., IJCV 2010; the images are under Flickr's terms.

    Test: the list val. Val: a tenth of the training list, chosen by hash. train_list="trainaug" takes
    ImageSets/Segmentation/trainaug.txt and SegmentationClassAug instead of train.txt and SegmentationClass: the
    10,582 images with the masks of SBD (Hariharan et al., ICCV 2011), as they are passed around. Void: object borders.
    """

    train_list: Literal["train", "trainaug"] = "train"

    name: ClassVar[str] = "voc2012"
    places: ClassVar[tuple[str, ...]] = ("VOCdevkit/VOC2012", "VOC2012", "")

    def needs(self) -> tuple[str, ...]:
        lists = tuple(f"ImageSets/Segmentation/{name}.txt" for name in (self.train_list, "val"))
        augmented = ("SegmentationClassAug",) if self.train_list == "trainaug" else ()
        return (*lists, "JPEGImages", "SegmentationClass", *augmented)

    def listing(self, home: Path) -> Listing:
        masks = {"train": "SegmentationClass", "val": "SegmentationClass", "trainaug": "SegmentationClassAug"}

        def samples(name: str) -> list[Sample]:
            lines = read_list(home / "ImageSets" / "Segmentation" / f"{name}.txt")
            stems = [Path(line.split()[0]).stem for line in lines]  # some augmented lists give paths
            return [
                Sample(stem, home / "JPEGImages" / f"{stem}.jpg", home / masks[name] / f"{stem}.png") for stem in stems
            ]

        return Listing({**divide(samples(self.train_list), val=VAL_SHARE), "test": samples("val")}, CLASS_NAMES)
