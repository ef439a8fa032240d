"""What is particular to each public set, against torchvision's and pycocotools' readers where these can read it."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from upbench.data.base import Split
from upbench.data.camvid import CamVid
from upbench.data.celeba import CelebA
from upbench.data.cifar10 import Cifar10
from upbench.data.coco import Coco
from upbench.data.dsb2018 import Dsb2018
from upbench.data.fashion_mnist import FashionMnist
from upbench.data.folder import Folder
from upbench.data.oxford_pets import OxfordPets
from upbench.data.voc2012 import Voc2012
from upbench.errors import UserError
from upbench.torchvision_shim import allow_torchvision

from tests.data import trees

allow_torchvision()
import torchvision.datasets as reference  # noqa: E402


def pairs(*splits: Split) -> set[tuple[bytes, bytes]]:
    """The images and masks, whatever their order."""
    found = set()
    for split in splits:
        masks = [None] * len(split.images) if split.masks is None else split.masks
        found |= {(i.tobytes(), b"" if m is None else m.tobytes()) for i, m in zip(split.images, masks, strict=True)}
    return found


def central(image: Image.Image) -> np.ndarray:
    """The centred square of a 14 x 12 picture, as stored."""
    return np.ascontiguousarray(np.asarray(image)[:, 1:13])


def test_voc_is_what_torchvision_reads(tmp_path: Path) -> None:
    trees.voc2012(tmp_path)
    data = Voc2012(size=12).load(tmp_path)
    for name, splits in (("train", (data.train, data.val)), ("val", (data.test,))):
        read = reference.VOCSegmentation(str(tmp_path), image_set=name)
        assert pairs(*splits) == {(central(image).tobytes(), central(mask).tobytes()) for image, mask in read}
    assert 255 in data.test.masks
    assert len(data.class_names) == 21


VOC = Path("VOCdevkit", "VOC2012")


@pytest.mark.parametrize("line", ["{}", "/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png"])
def test_the_augmented_list_has_masks_of_its_own(tmp_path: Path, line: str) -> None:
    trees.voc2012(tmp_path)
    home = tmp_path / VOC
    with pytest.raises(UserError, match=r"expects VOCdevkit/VOC2012/ImageSets/Segmentation/trainaug\.txt below"):
        Voc2012(train_list="trainaug").check(tmp_path)
    stems = [f"2007_{number:06}" for number in range(30)]
    trees.write_list(home / "ImageSets" / "Segmentation" / "trainaug.txt", [line.format(stem) for stem in stems])
    for stem in stems:
        trees.save(home / "SegmentationClassAug" / f"{stem}.png", Image.new("L", (14, 12), 7))
    plain, augmented = (Voc2012(size=8, train_list=name).load(tmp_path) for name in ("train", "trainaug"))
    assert len(augmented.train.images) + len(augmented.val.images) == 30
    assert (augmented.train.masks == 7).all()
    assert augmented.test.identity() == plain.test.identity()


def test_an_augmented_list_with_validation_images_is_refused(tmp_path: Path) -> None:
    trees.voc2012(tmp_path)
    home = tmp_path / VOC
    shutil.copytree(home / "SegmentationClass", home / "SegmentationClassAug")
    stems = [f"2007_{number:06}" for number in range(30)] + ["2008_000001"]
    trees.write_list(home / "ImageSets" / "Segmentation" / "trainaug.txt", stems)
    with pytest.raises(UserError, match=r"2008_000001 is in both (train|val) and test"):
        Voc2012(train_list="trainaug").check(tmp_path)


def test_camvid_label_11_is_void_and_12_unknown(tmp_path: Path) -> None:
    trees.camvid(tmp_path)
    data = CamVid(size=12).load(tmp_path)
    path = tmp_path / "CamVid" / "testannot" / "0001_test_0.png"
    stored = np.asarray(Image.open(path))[:, 2:14]
    assert any(np.array_equal(mask, np.where(stored == 11, 255, stored)) for mask in data.test.masks)
    trees.save(path, Image.new("L", (16, 12), 12))
    with pytest.raises(UserError, match=r"0001_test_0\.png has label 12"):
        CamVid().load(tmp_path)


@pytest.mark.parametrize(("border", "index"), [("class", 2), ("void", 255)])
def test_pets_are_what_torchvision_reads(tmp_path: Path, border: Any, index: int) -> None:
    trees.oxford_pets(tmp_path)
    data = OxfordPets(size=12, border=border).load(tmp_path)
    meaning = np.array([99, 1, 0, index], np.uint8)
    for name, splits in (("trainval", (data.train, data.val)), ("test", (data.test,))):
        read = reference.OxfordIIITPet(str(tmp_path), split=name, target_types="segmentation")
        assert pairs(*splits) == {(central(image).tobytes(), meaning[central(mask)].tobytes()) for image, mask in read}
    assert data.class_names == ("background", "pet", "border")[: 3 if border == "class" else 2]


def test_touching_nuclei_are_told_apart_by_their_boundaries(tmp_path: Path) -> None:
    shape = (8, 8)
    left, right = np.zeros(shape), np.zeros(shape)
    left[1:7, 0:4], right[1:5, 4:7] = 255, 255
    for number in range(trees.MANY):
        home = tmp_path / "stage1_train" / f"{number:064x}"
        trees.noise(home / "images" / f"{number}.png", shape)
        for name, plane in (("a", left), ("b", right)):
            trees.save(home / "masks" / f"{name}.png", trees.grey(plane))
    masks = Dsb2018(size=8).load(tmp_path).test.masks
    expected = """
        00000000
        22222220
        11122120
        11122120
        11122220
        11120000
        22220000
        00000000
    """
    assert (masks == np.array([list(map(int, row)) for row in expected.split()])).all()


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_nucleus_folder_without_files_is_named(tmp_path: Path, kind: str) -> None:
    trees.dsb2018(tmp_path)
    victim = tmp_path / "stage1_train" / f"{5:064x}" / kind
    shutil.rmtree(victim)
    with pytest.raises(UserError, match=rf"expects stage1_train/{5:064x}/{kind}/\*\.png below"):
        Dsb2018().check(tmp_path)


def test_celeba_keeps_the_central_148_pixels(tmp_path: Path) -> None:
    trees.celeba(tmp_path)
    path = tmp_path / "celeba" / "img_align_celeba" / "000009.jpg"
    rows, columns = np.indices((218, 178))
    numbered = np.stack([rows, columns, rows], -1).astype(np.uint8)
    Image.fromarray(numbered).save(path, "PNG")  # without loss; the name does not matter to the decoder
    data = CelebA(size=148).load(tmp_path)
    assert any(np.array_equal(image, numbered[35:183, 15:163]) for image in data.test.images)
    assert data.test.masks is None
    assert (len(data.train.images), len(data.val.images), len(data.test.images)) == (3, 3, 3)


@pytest.mark.parametrize("line", ["000001.jpg 3", "000001.jpg"])
def test_a_partition_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    trees.celeba(tmp_path)
    path = tmp_path / "celeba" / "list_eval_partition.txt"
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(UserError, match=rf"list_eval_partition\.txt has the line '{line}'"):
        CelebA().check(tmp_path)


def test_cifar_is_stored_in_planes(tmp_path: Path) -> None:
    trees.cifar10(tmp_path)
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (32, 32, 3), np.uint8)
    record = np.concatenate([np.array([9], np.uint8), *(picture[..., channel].ravel() for channel in range(3))])
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(record.tobytes())
    data = Cifar10().load(tmp_path)
    assert np.array_equal(data.test.images, picture[None])
    assert len(data.train.images) + len(data.val.images) == 55


def test_cifar_with_an_unknown_label_is_refused(tmp_path: Path) -> None:
    trees.cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").write_bytes(bytes([10] * 3073))
    with pytest.raises(UserError, match=r"data_batch_2\.bin is damaged: label 10"):
        Cifar10().check(tmp_path)


def test_pickled_cifar_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(UserError, match=r"holds cifar-10-batches-py; only the binary version is read"):
        Cifar10().check(tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
def test_fashion_mnist_is_what_torchvision_reads(tmp_path: Path, zipped: bool) -> None:
    trees.fashion_mnist(tmp_path)
    packed = tmp_path / "fashion-mnist" / "t10k-images-idx3-ubyte.gz"
    plain = packed.with_suffix("")
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    expected = reference.mnist.read_image_file(str(plain)).numpy()
    (plain if zipped else packed).unlink()
    data = FashionMnist().load(tmp_path)
    assert data.test.images.shape == (5, 32, 32, 1)
    inner = data.test.images[:, 2:-2, 2:-2, 0]
    assert {image.tobytes() for image in inner} == {image.tobytes() for image in expected}
    assert data.test.images.sum() == inner.sum(), "the margin is black"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack(">4i", 0x801, 1, 28, 28) + bytes(784), "begins with 0x801 and not with 0x803"),
        (struct.pack(">4i", 0x803, 2, 28, 28) + bytes(784), "cannot reshape"),
        (b"\x00", "requires a buffer"),
    ],
)
def test_a_file_that_is_no_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    trees.fashion_mnist(tmp_path)
    (tmp_path / "fashion-mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=rf"t10k-images-idx3-ubyte\.gz is damaged: .*{message}"):
        FashionMnist().check(tmp_path)


def coco_map(root: Path, *annotations: dict[str, Any], width: int = 12) -> np.ndarray:
    """The class map of a 12 x 12 picture with these annotations."""
    path = root / "coco" / "annotations" / "instances_val2017.json"
    if not path.exists():
        trees.coco(root)
    document = json.loads(path.read_text())
    document["images"] = [{"id": 7, "file_name": "seven.jpg", "width": width, "height": 12}]
    trees.noise(root / "coco" / "val2017" / "seven.jpg", (12, 12))
    document["annotations"] = [{"iscrowd": 0, "image_id": 7, "id": n} | a for n, a in enumerate(annotations)]
    trees.write_coco(path, document)
    masks = Coco(size=12).load(root).test.masks
    assert masks is not None
    return masks[0]


def block(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    shape = np.zeros((12, 12), bool)
    shape[top:bottom, left:right] = True
    return shape


def test_coco_draws_small_instances_over_large_ones_and_crowds_under_all(tmp_path: Path) -> None:
    small, large, crowd = block(4, 6, 4, 6), block(2, 9, 2, 9), block(0, 12, 8, 12)
    drawn = coco_map(
        tmp_path,
        {"category_id": 1, "segmentation": trees.run_lengths(small)},
        {"category_id": 2, "segmentation": trees.run_lengths(large)},
        {"category_id": 90, "segmentation": trees.run_lengths(crowd), "iscrowd": 1},
    )
    assert np.array_equal(drawn, np.where(small, 1, np.where(large, 2, np.where(crowd, 255, 0))))


@pytest.mark.parametrize("first", [4, 90])
def test_of_instances_of_one_size_the_later_id_wins(tmp_path: Path, first: int) -> None:
    index = {4: 3, 90: 4}
    one, other = block(0, 4, 0, 4), block(2, 6, 2, 6)
    annotations = [
        {"category_id": first, "segmentation": trees.run_lengths(one), "id": 11},
        {"category_id": 94 - first, "segmentation": trees.run_lengths(other), "id": 12},
    ]
    expected = np.where(other, index[94 - first], np.where(one, index[first], 0))
    for given in (annotations, annotations[::-1]):
        assert np.array_equal(coco_map(tmp_path, *given), expected)


def test_coco_polygons_and_plain_run_lengths_are_those_of_pycocotools(tmp_path: Path, capsys) -> None:
    polygon = {"category_id": 2, "segmentation": [[1.5, 1, 8, 2.5, 6, 9.5], [9, 9, 11, 9, 11, 11, 9, 11]]}
    plain = {"category_id": 4, "segmentation": {"size": [12, 12], "counts": [100, 30, 14]}, "iscrowd": 1}
    for annotation, label in ((polygon, 2), (plain, 255)):
        drawn = coco_map(tmp_path, annotation)
        read = COCO(str(tmp_path / "coco" / "annotations" / "instances_val2017.json"))
        assert np.array_equal(drawn, label * read.annToMask(read.anns[0]))
        assert (drawn == label).any()


def test_an_image_without_annotations_is_background(tmp_path: Path) -> None:
    assert (coco_map(tmp_path) == 0).all()


def test_coco_2014_has_files_of_its_own(tmp_path: Path) -> None:
    trees.coco(tmp_path)
    home = tmp_path / "coco"
    with pytest.raises(UserError, match=r"expects coco/annotations/instances_train2014\.json below"):
        Coco(year="2014").check(tmp_path)
    before = Coco(size=8).load(tmp_path)
    for path in (*home.iterdir(), *(home / "annotations").iterdir()):
        path.rename(path.with_name(path.name.replace("2017", "2014")))
    after = Coco(size=8, year="2014").load(tmp_path)
    assert pairs(after.train, after.val) == pairs(before.train, before.val)
    assert pairs(after.test) == pairs(before.test)
    assert after.class_names == ("background", "thing 1", "thing 2", "thing 4", "thing 90")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"category_id": 3, "segmentation": []}, "annotation 0 has unknown category 3"),
        ({"segmentation": []}, "'category_id' is missing"),
        ({"category_id": 2, "segmentation": []}, "annotation 0 is damaged"),
        ({"category_id": 2, "segmentation": [["x"] * 6]}, "annotation 0 is damaged"),
        ({"category_id": 2, "segmentation": {"size": [2, 2], "counts": [4]}}, "annotation 0 is not as large"),
        ({"category_id": 2, "segmentation": [[0, 0, 1, 0, 1, 1]], "image_id": 8}, "8 is missing"),
    ],
)
def test_an_annotation_that_means_nothing_is_named(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        coco_map(tmp_path, annotation)
    assert "instances_val2017.json" in str(caught.value)


def test_a_coco_image_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seven\.jpg: the image has 12 x 12 pixels, its mask 13 x 12"):
        coco_map(tmp_path, width=13)


def test_coco_with_two_lists_of_categories_is_refused(tmp_path: Path) -> None:
    trees.coco(tmp_path)
    path = tmp_path / "coco" / "annotations" / "instances_val2017.json"
    document = json.loads(path.read_text())
    document["categories"][0]["name"] = "other"
    trees.write_coco(path, document)
    with pytest.raises(UserError, match="categories of train and val 2017 differ"):
        Coco().load(tmp_path)


def test_without_pycocotools_the_refusal_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.coco(tmp_path)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(UserError, match=r'pip install "upbench\[coco\]"'):
        Coco().check(tmp_path)


def test_a_folder_with_its_own_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number in range(trees.MANY):  # the same names in both
            trees.noise(tmp_path / split / "images" / f"{number}.jpg", (8, 8))
            trees.save(tmp_path / split / "masks" / f"{number}.png", Image.new("L", (8, 8), split == "test"))
    data = Folder(size=8, class_names=("a", "b")).load(tmp_path)
    assert len(data.test.images) == trees.MANY
    assert len(data.train.images) + len(data.val.images) == trees.MANY
    assert (data.val.masks == 0).all()
    assert (data.test.masks == 1).all()
    for number in range(3):
        trees.noise(tmp_path / "val" / "images" / f"{number}.png", (8, 8))
        trees.save(tmp_path / "val" / "masks" / f"{number}.png", Image.new("L", (8, 8)))
    assert len(Folder(size=8, class_names=("a", "b")).load(tmp_path).val.images) == 3


def test_a_flat_folder_holds_images_and_whatever_else(tmp_path: Path) -> None:
    for number in range(trees.MANY):
        trees.noise(tmp_path / "flat" / f"{number}.JPG")
    (tmp_path / "flat" / "readme.txt").write_text("not an image")
    data = Folder(path="flat", size=8).load(tmp_path)
    assert sum(len(split.images) for split in (data.train, data.val, data.test)) == trees.MANY
    assert data.train.masks is None
    assert data.class_names == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "mine"}, "needs the option class_names if and only if there are masks; masks are in"),
        ({"path": "mine/images", "class_names": ("a",)}, "if there are masks; there is no folder"),
        ({"path": "mine", "class_names": ("a",)}, "has label 1; allowed: 0, 255"),
        ({"path": "mien"}, "expects mien below .*; it is not there; .* holds mine"),
        ({}, "expects images .* it has none"),
    ],
)
def test_a_folder_that_is_not_as_said_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    trees.folder(tmp_path)
    with pytest.raises(UserError, match=message):
        Folder(**options).load(tmp_path)
