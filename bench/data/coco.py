"""MSCOCO, its instances drawn into class maps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from bench.data.base import VOID
from bench.data.files import VAL_SHARE, ImageSet, Listing, Sample, divide
from bench.errors import UserError


@dataclass(frozen=True)
class Drawing:
    """What an image's class map is drawn from. labels: the class index of each category id. file: its annotations."""

    width: int
    height: int
    annotations: list[dict[str, Any]]
    labels: Mapping[int, int]
    file: Path


@dataclass(frozen=True, kw_only=True)
class Coco(ImageSet):
    """MSCOCO instances as 81 classes: background, then the 80 categories in the order of their ids. Layout: coco/ with
    annotations/instances_{train,val}YEAR.json and {train,val}YEAR/*.jpg. Lin et al., ECCV 2014; annotations CC BY 4.0.

    year="2014" is also what the challenge of 2015 gave out. Test: the official val. Val: a tenth of train, by hash.
    Larger instances are drawn first, so that smaller ones stay visible; of equal areas (in pixels of the image) the
    later id wins. Crowd regions are void where no single instance is. Images without annotations are background.
    Needs pycocotools: pip install "upbench[coco]".
    """

    year: Literal["2017", "2014"] = "2017"

    name: ClassVar[str] = "coco"
    places: ClassVar[tuple[str, ...]] = ("coco", "COCO", "")

    def needs(self) -> tuple[str, ...]:
        lists = tuple(f"annotations/instances_{part}{self.year}.json" for part in ("train", "val"))
        return (*lists, f"train{self.year}", f"val{self.year}")

    def check(self, folder: Path | None) -> None:
        """Raises UserError if pycocotools, a file of annotations or a folder of images is missing.

        Whether every image is there is known only when the annotations are read, which takes a minute.
        """
        _mask_tools()
        self.home(folder)

    def listing(self, home: Path) -> Listing:
        train, names = self._part(home, "train")
        test, other_names = self._part(home, "val")
        if names != other_names:
            raise UserError(f"data set 'coco' in {home}: the categories of train and val {self.year} differ")
        return Listing({**divide(train, val=VAL_SHARE), "test": test}, ("background", *names))

    def mask(self, sample: Sample, classes: int) -> Image.Image:
        """The class map: crowds, then instances from the largest to the smallest."""
        drawing: Drawing = sample.mask
        shapes = [(annotation, _shape(annotation, drawing)) for annotation in drawing.annotations]
        order = sorted(shapes, key=lambda pair: (not pair[0].get("iscrowd"), -int(pair[1].sum()), pair[0]["id"]))
        canvas = np.zeros((drawing.height, drawing.width), np.uint8)
        for annotation, shape in order:
            canvas[shape] = VOID if annotation.get("iscrowd") else drawing.labels[annotation["category_id"]]
        return Image.fromarray(canvas)

    def _part(self, home: Path, part: str) -> tuple[list[Sample], tuple[str, ...]]:
        path = home / "annotations" / f"instances_{part}{self.year}.json"
        try:
            document = json.loads(path.read_bytes())
            categories = sorted(document["categories"], key=lambda category: category["id"])
            labels = {category["id"]: index for index, category in enumerate(categories, 1)}
            by_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
            for annotation in document["annotations"]:
                number = annotation["id"]
                if annotation["category_id"] not in labels:
                    raise ValueError(f"annotation {number} has unknown category {annotation['category_id']}")
                by_image[annotation["image_id"]].append(annotation)
            samples = [
                Sample(
                    f"{part}{self.year}/{image['file_name']}",
                    home / f"{part}{self.year}" / image["file_name"],
                    Drawing(image["width"], image["height"], by_image[image["id"]], labels, path),
                )
                for image in document["images"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else error
            raise UserError(f"annotations {path} are damaged: {what}") from None
        return samples, tuple(category["name"] for category in categories)


def _shape(annotation: Mapping[str, Any], drawing: Drawing) -> np.ndarray:
    """The annotation's pixels, bool (height, width). Polygons, plain and compressed run lengths are all in use."""
    tools = _mask_tools()
    try:
        outline = annotation["segmentation"]
        if isinstance(outline, list):
            code = tools.merge(tools.frPyObjects(outline, drawing.height, drawing.width))
        elif isinstance(outline["counts"], list):
            code = tools.frPyObjects(outline, drawing.height, drawing.width)
        else:
            code = outline
        shape = tools.decode(code)
    except Exception as error:  # pycocotools raises plain Exception
        raise UserError(f"annotations {drawing.file}: annotation {annotation['id']} is damaged: {error}") from None
    if shape.shape != (drawing.height, drawing.width):
        raise UserError(f"annotations {drawing.file}: annotation {annotation['id']} is not as large as its image")
    return shape.astype(bool)


def _mask_tools() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        raise UserError("data set 'coco' needs pycocotools: pip install \"upbench[coco]\"") from None
    return mask
