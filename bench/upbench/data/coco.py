"""MSCOCO, its instances drawn into class maps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upbench.data.image_set import VAL_SHARE, ImageSet, Sample, divide
from upbench.errors import UserError
from upbench.masks import VOID


@dataclass(frozen=True)
class Drawing:
    """What the class map of an image is drawn from.

    Attributes:
        width: width of the image in pixels, as its list says.
        height: height of the image in pixels, as its list says.
        annotations: the instances and crowds in the image, as in the file.
        class_by_category: the index of the class for the id of each category.
        file: the file of the annotations, for refusals.
    """

    width: int
    height: int
    annotations: list[dict[str, Any]]
    class_by_category: Mapping[int, int]
    file: Path


@dataclass(frozen=True, kw_only=True)
class Coco(ImageSet):
    """MSCOCO instances as 81 classes, for segmentation.

    Layout: coco/ with annotations/instances_{train,val}YEAR.json and {train,val}YEAR/*.jpg. Source: Lin et al., ECCV
    2014. Licence: the annotations are under CC BY 4.0. Needs pycocotools: pip install "upbench[coco]".

    The classes are background, then the 80 categories in the order of their ids. Test: the official val. Val: a tenth
    of train, by hash. Larger instances are drawn first, so that smaller ones stay visible; of equal areas (in pixels of
    the image) the later id wins. Crowd regions are void where no single instance is. Images without annotations are
    background.

    Attributes:
        size: side of the squares that images and masks are resized to, in pixels, at least 1. Default: 256.
        limit: the most samples of each split, 0 for all. Default: 0.
        year: the year of the release, "2017" or "2014", which is also what the challenge of 2015 gave out.
            Default: "2017".
    """

    year: Literal["2017", "2014"] = "2017"

    name: ClassVar[str] = "coco"
    places: ClassVar[tuple[str, ...]] = ("coco", "COCO", "")

    def required_files(self) -> tuple[str, ...]:
        """The annotations and the images of train and val."""
        train = f"train{self.year}"
        val = f"val{self.year}"
        return _annotations_of(train), _annotations_of(val), train, val

    def name_classes(self, home: Path | None) -> tuple[str, ...] | None:
        """Background and the categories, which a file of annotations names."""
        if home is None:
            return None
        # both files name them, but that of val is read in a fraction of a second
        path = home / _annotations_of(f"val{self.year}")
        return ("background", *_read_category_names(path, path.stat().st_mtime_ns))

    def check(self, folder: Path | None) -> None:
        """Raises UserError if pycocotools, a file of annotations or a folder of images is missing.

        Whether every image is there is known only when the annotations are read, which takes a minute.
        """
        _import_mask_tools()
        self.find_home(folder)

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The images that the two files of annotations list."""
        year = self.year
        train, train_categories = _read_samples(home, f"train{year}")
        test, test_categories = _read_samples(home, f"val{year}")
        if train_categories != test_categories:
            raise UserError(f"data set 'coco' in {home}: the categories of train and val {year} differ")
        splits = divide(train, val=VAL_SHARE)
        splits["test"] = test
        return splits

    def read_mask(self, sample: Sample, classes: int) -> Image.Image:
        """Draw the class map: crowds, then instances from the largest to the smallest."""
        drawing: Drawing = sample.mask
        areas = []
        for annotation in drawing.annotations:
            area = _decode_area(annotation, drawing)
            areas.append((annotation, area))
        areas.sort(key=_drawing_order)
        canvas = np.zeros((drawing.height, drawing.width), np.uint8)
        for annotation, area in areas:
            if annotation.get("iscrowd"):
                canvas[area] = VOID
            else:
                canvas[area] = drawing.class_by_category[annotation["category_id"]]
        return Image.fromarray(canvas)


def _annotations_of(part: str) -> str:
    return f"annotations/instances_{part}.json"


def _read_samples(home: Path, part: str) -> tuple[list[Sample], tuple[str, ...]]:
    """The samples of a part such as "val2017", and the names of the categories."""
    path = home / _annotations_of(part)
    with _refuse_damaged(path):
        content = path.read_bytes()
        document = json.loads(content)
        categories = _sort_categories(document)
        # ids have gaps, classes have none; 0 is background
        class_by_category = {category["id"]: index for index, category in enumerate(categories, 1)}
        annotations_by_image = _group_annotations(document, class_by_category)
        samples = []
        for image in document["images"]:
            file_name = image["file_name"]
            drawing = Drawing(
                width=image["width"],
                height=image["height"],
                annotations=annotations_by_image[image["id"]],
                class_by_category=class_by_category,
                file=path,
            )
            sample = Sample(f"{part}/{file_name}", home / part / file_name, drawing)
            samples.append(sample)
        names = tuple(category["name"] for category in categories)
        return samples, names


def _group_annotations(
    document: Mapping[str, Any], class_by_category: Mapping[int, int]
) -> dict[int, list[dict[str, Any]]]:
    """The annotations of each image, by its id; none for an image without any."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for image in document["images"]:
        groups[image["id"]] = []
    for annotation in document["annotations"]:
        number = annotation["id"]
        category = annotation["category_id"]
        if category not in class_by_category:
            raise ValueError(f"annotation {number} has unknown category {category}")
        # an image that is not listed is a KeyError, and so a refusal
        image = annotation["image_id"]
        groups[image].append(annotation)
    return groups


@lru_cache(maxsize=8)
def _read_category_names(path: Path, changed: int) -> tuple[str, ...]:
    """The names of the categories by their ids. `changed` is the time of the file: a changed file is read anew."""
    with _refuse_damaged(path):
        content = path.read_bytes()
        document = json.loads(content)
        categories = _sort_categories(document)
        return tuple(category["name"] for category in categories)


def _sort_categories(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return sorted(document["categories"], key=lambda category: category["id"])


@contextmanager
def _refuse_damaged(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a file of annotations is read into one refusal."""
    try:
        yield
    except KeyError as error:
        raise UserError(f"annotations {path} are damaged: {error} is missing") from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"annotations {path} are damaged: {error}") from None


def _drawing_order(item: tuple[Mapping[str, Any], NDArray[np.bool_]]) -> tuple[bool, int, int]:
    """Crowds come first, then large areas before small ones, then low ids before high ones."""
    annotation, area = item
    is_instance = not annotation.get("iscrowd")
    pixels = int(area.sum())
    return is_instance, -pixels, annotation["id"]


def _decode_area(annotation: Mapping[str, Any], drawing: Drawing) -> NDArray[np.bool_]:
    """The pixels of an annotation, bool, shape (height, width)."""
    tools = _import_mask_tools()
    height, width = drawing.height, drawing.width
    number = annotation["id"]
    try:
        # polygons, plain and compressed run lengths are all in use
        outline = annotation["segmentation"]
        if isinstance(outline, list):
            polygons = tools.frPyObjects(outline, height, width)
            code = tools.merge(polygons)
        elif isinstance(outline["counts"], list):
            code = tools.frPyObjects(outline, height, width)
        else:
            code = outline
        area = tools.decode(code)
    except Exception as error:  # pycocotools raises plain Exception
        raise UserError(f"annotations {drawing.file}: annotation {number} is damaged: {error}") from None
    if area.shape != (height, width):
        raise UserError(f"annotations {drawing.file}: annotation {number} is not as large as its image")
    return area.astype(bool)


def _import_mask_tools() -> Any:
    # only this set needs the package, an extra that not everyone installs
    try:
        from pycocotools import mask
    except ImportError:
        raise UserError("data set 'coco' needs pycocotools: pip install \"upbench[coco]\"") from None
    return mask
