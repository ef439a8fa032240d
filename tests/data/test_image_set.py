"""What image sets share: the square that is kept, resizing, the order and division by hash, and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from upbench.data.camvid import CamVid
from upbench.data.folder import Folder
from upbench.data.image_set import ImageSet, Sample, divide
from upbench.errors import UserError
from upbench.torchvision_shim import allow_torchvision

from tests.data import trees


@dataclass(frozen=True, kw_only=True)
class One(ImageSet):
    """One image with its mask in every split; the smallest set there can be."""

    name: ClassVar[str] = "one"

    def required_files(self) -> tuple[str, ...]:
        return ("image.png", "mask.png")

    def name_classes(self, home: Path | None) -> tuple[str, ...]:
        return ("a", "b", "c")

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        return {split: [Sample(split, home / "image.png", home / "mask.png")] for split in ("train", "val", "test")}


def one(folder: Path, image: Image.Image, mask: Image.Image, size: int) -> tuple[NDArray, NDArray]:
    trees.save(folder / "image.png", image)
    trees.save(folder / "mask.png", mask)
    split = One(size=size).load(folder).test
    assert split.masks is not None
    return split.images[0], split.masks[0]


@pytest.mark.parametrize(("width", "height"), [(90, 61), (40, 77), (33, 33)])
@pytest.mark.parametrize("size", [16, 24, 100])
def test_images_are_resized_as_torchvision_resizes_them(tmp_path: Path, width: int, height: int, size: int) -> None:
    allow_torchvision()
    from torchvision.transforms.v2 import functional

    rng = np.random.default_rng(width)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    image, _ = one(tmp_path, Image.fromarray(pixels), trees.grey(np.zeros((height, width))), size)
    edge = min(width, height)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = torch.from_numpy(pixels[top : top + edge, left : left + edge]).movedim(-1, 0).float()
    expected = functional.resize(square, [size, size], antialias=True).movedim(0, -1).numpy()
    assert np.abs(image - expected).max() <= 1.01  # Pillow rounds to whole grey levels after each of the two passes


@pytest.mark.parametrize("size", [8, 16, 50])
def test_a_mask_takes_the_label_of_the_nearest_pixel(tmp_path: Path, size: int) -> None:
    mask = trees.labels((0, 1, 2, 255), (30, 44))
    _, resized = one(tmp_path, Image.new("RGB", (44, 30)), trees.palette(mask), size)
    nearest = np.floor((np.arange(size) + 0.5) * 30 / size).astype(int)
    assert np.array_equal(resized, mask[nearest][:, 7 + nearest])


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8)), r"mask\.png is of mode RGB; labels are grey or palette"),
        (Image.new("RGB", (8, 8)), Image.new("1", (8, 8)), r"mask\.png is of mode 1"),
        (Image.new("RGB", (8, 8)), Image.new("L", (8, 8), 3), r"mask\.png has label 3; allowed: 0, 1, 2, 255"),
        (Image.new("RGB", (8, 8)), Image.new("L", (8, 7)), "train: the image has 8 x 8 pixels, its mask 8 x 7"),
        (Image.new("I;16", (8, 8)), Image.new("L", (8, 8)), r"image\.png has more than 8 bits a channel"),
    ],
)
def test_files_that_mean_something_else_are_refused(
    tmp_path: Path, image: Image.Image, mask: Image.Image, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        one(tmp_path, image, mask, 8)


def test_one_unknown_label_is_found_even_where_the_crop_leaves_it_out(tmp_path: Path) -> None:
    mask = np.zeros((8, 20))
    mask[0, 0] = 9
    with pytest.raises(UserError, match="has label 9"):
        one(tmp_path, Image.new("RGB", (20, 8)), trees.grey(mask), 4)


def test_a_sample_in_two_splits_is_refused(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        name = "same" if split != "val" else "other"
        trees.noise(tmp_path / split / f"{name}.png")
        trees.save(tmp_path / f"{split}annot" / f"{name}.png", Image.new("L", (14, 12)))
    with pytest.raises(UserError, match=r"same\.png is in both train and test"):
        CamVid().check(tmp_path)


def test_a_set_without_images_is_refused(tmp_path: Path) -> None:
    trees.camvid(tmp_path)
    for path in (tmp_path / "CamVid" / "val").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="data set 'camvid' has no val images in"):
        CamVid().check(tmp_path)


def test_the_refusal_says_what_was_expected_and_what_is_there(tmp_path: Path) -> None:
    trees.camvid(tmp_path)
    (tmp_path / "CamVid" / "valannot").rename(tmp_path / "CamVid" / "val_annot")
    with pytest.raises(UserError) as caught:
        CamVid().check(tmp_path)
    assert str(caught.value) == (
        f"data set 'camvid' expects CamVid/valannot below {tmp_path}; it is not there; {tmp_path / 'CamVid'} "
        "holds test, testannot, train, trainannot, val, val_annot"
    )


@pytest.mark.parametrize("place", ["", "CamVid"])
def test_the_data_folder_may_be_the_set_itself(tmp_path: Path, place: str) -> None:
    trees.camvid(tmp_path)
    assert len(CamVid(size=8).load(tmp_path / place).train.images) == 5


def test_a_division_by_hash_has_its_shares_and_does_not_change_with_the_others() -> None:
    samples = [Sample(f"{number}.png", None) for number in range(20_000)]
    whole = divide(samples, val=0.1, test=0.25)
    sizes = {split: len(part) / len(samples) for split, part in whole.items()}
    assert sizes == pytest.approx({"train": 0.65, "val": 0.1, "test": 0.25}, abs=0.01)
    assert sum(map(len, whole.values())) == len(samples)
    some = divide(samples[::-3], val=0.1, test=0.25)
    for split, part in some.items():
        assert set(part) == set(whole[split]) & set(samples[::-3])


def test_the_order_does_not_depend_on_the_list(tmp_path: Path) -> None:
    trees.voc2012(tmp_path)
    from upbench.data.voc2012 import Voc2012

    before = Voc2012(size=8).load(tmp_path)
    path = tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"
    trees.write_list(path, reversed(path.read_text().split()))
    assert Voc2012(size=8).load(tmp_path).identity() == before.identity()


def test_images_of_many_kinds_become_rgb(tmp_path: Path) -> None:
    for number, mode in enumerate(("L", "LA", "P", "RGBA", "1", "CMYK", "RGB") * 6):
        trees.noise(tmp_path / f"{number}.{'jpg' if mode == 'CMYK' else 'png'}", (9, 9), mode)
    assert Folder(size=8).load(tmp_path).train.images.shape[1:] == (8, 8, 3)
