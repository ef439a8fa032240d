"""A tiny tree of every registered data set in its exact on-disk format, one builder a name."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as tools

MANY = 40  # samples a hash divides into parts none of which is empty


@dataclass(frozen=True)
class Tree:
    """options: what to build the set with. missing, damaged: files that must be named when removed, or cut short."""

    options: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""
    damaged: str = ""


def noise(path: Path, size: tuple[int, int] = (14, 12), mode: str = "RGB") -> NDArray[np.uint8]:
    """A picture of (width, height) pixels that depends on its path, so that no two are alike; its RGB pixels."""
    rng = np.random.default_rng(list("/".join(path.parts[-3:]).encode()))
    pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    save(path, Image.fromarray(pixels).convert(mode))
    return pixels


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def grey(labels: NDArray) -> Image.Image:
    return Image.fromarray(labels.astype(np.uint8))


def palette(labels: NDArray) -> Image.Image:
    """As in PASCAL VOC: the colours are for the eye, the indices are the labels."""
    image = grey(labels)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    assert image.mode == "P"
    return image


def labels(allowed: Iterable[int], shape: tuple[int, int] = (12, 14), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).choice(np.array(list(allowed), np.uint8), shape)


def write_list(path: Path, rows: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))


def earth(root: Path) -> Tree:
    return Tree({"size": 128})


def npz(root: Path) -> Tree:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"class_names": np.array(["a", "b"])}
    for name, count in (("train", 4), ("val", 3), ("test", 3)):
        arrays[f"{name}_images"] = rng.integers(0, 256, (count, 8, 8, 3), np.uint8)
        arrays[f"{name}_masks"] = rng.choice(np.array([0, 1, 255], np.uint8), (count, 8, 8))
    root.mkdir(exist_ok=True)
    np.savez(root / "tiny.npz", **arrays)
    return Tree({"file": "tiny.npz"}, "tiny.npz", "tiny.npz")


def folder(root: Path) -> Tree:
    for number in range(MANY):
        noise(root / "mine" / "images" / f"{number:02}.{'png' if number % 2 else 'jpg'}")
        save(root / "mine" / "masks" / f"{number:02}.png", grey(labels((0, 1, 255), seed=number)))
    options = {"path": "mine", "class_names": ["sky", "land"], "size": 8}
    return Tree(options, "mine/masks/07.png", "mine/images/04.jpg")


def voc2012(root: Path) -> Tree:
    home = root / "VOCdevkit" / "VOC2012"
    lists = {"train": [f"2007_{number:06}" for number in range(MANY)], "val": ["2008_000001", "2008_000002"]}
    for name, stems in lists.items():
        write_list(home / "ImageSets" / "Segmentation" / f"{name}.txt", stems)
        for number, stem in enumerate(stems):
            noise(home / "JPEGImages" / f"{stem}.jpg")
            save(home / "SegmentationClass" / f"{stem}.png", palette(labels((*range(21), 255), seed=number)))
    noise(home / "JPEGImages" / "2009_000001.jpg")  # most pictures of the devkit are in no list
    return Tree(
        {"size": 8},
        "VOCdevkit/VOC2012/SegmentationClass/2007_000003.png",
        "VOCdevkit/VOC2012/JPEGImages/2007_000005.jpg",
    )


def coco(root: Path) -> Tree:
    home = root / "coco"
    categories = [{"id": number, "name": f"thing {number}"} for number in (1, 2, 4, 90)]  # ids have gaps
    for part, count in (("train", MANY), ("val", 3)):
        images, annotations = [], []
        for number in range(count):
            name = f"{number:012}.jpg"
            noise(home / f"{part}2017" / name, (16, 12))
            images.append({"id": number, "file_name": name, "width": 16, "height": 12})
            corner = number % 5
            box = [corner, 2, corner + 6, 2, corner + 6, 8, corner, 8]
            annotations.append(
                {"id": 2 * number, "image_id": number, "category_id": 90, "iscrowd": 0, "segmentation": [box]}
            )
            crowd = {"size": [12, 16], "counts": [12 * 14, 12, 12]}  # the last but one column
            annotations.append(
                {"id": 2 * number + 1, "image_id": number, "category_id": 1, "iscrowd": 1, "segmentation": crowd}
            )
        document = {"info": {}, "images": images, "annotations": annotations, "categories": categories[::-1]}
        write_coco(home / "annotations" / f"instances_{part}2017.json", document)
    return Tree({"size": 8}, "coco/val2017/000000000001.jpg", "coco/annotations/instances_val2017.json")


def write_coco(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def run_lengths(shape: NDArray[np.bool_]) -> dict[str, Any]:
    """The compressed form, as JSON holds it."""
    code = tools.encode(np.asfortranarray(shape.astype(np.uint8)))
    return {"size": code["size"], "counts": code["counts"].decode()}


def camvid(root: Path) -> Tree:
    for split, count in (("train", 5), ("val", 3), ("test", 4)):
        for number in range(count):
            noise(root / "CamVid" / split / f"0001_{split}_{number}.png", (16, 12))
            save(root / "CamVid" / f"{split}annot" / f"0001_{split}_{number}.png", grey(labels(range(12), (12, 16))))
    return Tree({"size": 8}, "CamVid/testannot/0001_test_2.png", "CamVid/trainannot/0001_train_3.png")


def oxford_pets(root: Path) -> Tree:
    home = root / "oxford-iiit-pet"
    for name, breed, count in (("trainval", "Abyssinian", MANY), ("test", "yorkshire_terrier", 3)):
        stems = [f"{breed}_{number}" for number in range(count)]
        write_list(home / "annotations" / f"{name}.txt", [f"{stem} 1 1 1" for stem in stems])
        for number, stem in enumerate(stems):
            noise(home / "images" / f"{stem}.jpg")
            save(home / "annotations" / "trimaps" / f"{stem}.png", grey(labels((1, 2, 3), seed=number)))
    return Tree(
        {"size": 8}, "oxford-iiit-pet/images/Abyssinian_4.jpg", "oxford-iiit-pet/annotations/trimaps/Abyssinian_5.png"
    )


def dsb2018(root: Path) -> Tree:
    names = [f"{number:064x}" for number in range(MANY)]
    for number, name in enumerate(names):
        home = root / "stage1_train" / name
        noise(home / "images" / f"{name}.png", mode="RGBA")
        for nucleus in range(2):
            plane = np.zeros((12, 14), np.uint8)
            plane[1 + number % 4 : 8, 2 + 5 * nucleus : 7 + 5 * nucleus] = 255
            save(home / "masks" / f"{nucleus:064x}.png", grey(plane))
    first = f"stage1_train/{names[3]}"
    return Tree({"size": 8}, f"{first}/images/{names[3]}.png", f"{first}/masks/{0:064x}.png")


def celeba(root: Path) -> Tree:
    rows = []
    for number in range(1, 10):
        noise(root / "celeba" / "img_align_celeba" / f"{number:06}.jpg", (178, 218))
        rows.append(f"{number:06}.jpg {(number - 1) // 3}")
    write_list(root / "celeba" / "list_eval_partition.txt", rows)
    return Tree({"size": 8}, "celeba/img_align_celeba/000004.jpg", "celeba/img_align_celeba/000008.jpg")


def cifar10(root: Path) -> Tree:
    home = root / "cifar-10-batches-bin"
    home.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        records = rng.integers(0, 256, (11, 3073), np.uint8)
        records[:, 0] %= 10
        (home / name).write_bytes(records.tobytes())
    return Tree({}, "cifar-10-batches-bin/data_batch_4.bin", "cifar-10-batches-bin/test_batch.bin")


def fashion_mnist(root: Path) -> Tree:
    home = root / "fashion-mnist"
    home.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", MANY), ("t10k", 5)):
        pictures = rng.integers(0, 256, (count, 28, 28), np.uint8)
        content = struct.pack(">4i", 0x803, *pictures.shape) + pictures.tobytes()
        (home / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    return Tree({}, "fashion-mnist/t10k-images-idx3-ubyte.gz", "fashion-mnist/train-images-idx3-ubyte.gz")


TREES: dict[str, Callable[[Path], Tree]] = {
    builder.__name__: builder
    for builder in (
        earth, npz, folder, voc2012, coco, camvid, oxford_pets, dsb2018, celeba, cifar10, fashion_mnist,
    )
}  # fmt: skip
