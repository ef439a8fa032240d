"""Every registered data set, on a tiny tree in its on-disk format. A set without a tree fails."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.cell import Spec
from bench.data import DATA, cache
from bench.data.base import SPLITS, VOID, Dataset
from bench.data.files import ImageSet
from bench.errors import UserError
from tests.data.trees import TREES, Tree

FROM_FOLDERS = [name for name in DATA if name != "earth"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Tree, Path]]:
    made = {}
    for name, build in TREES.items():
        root = tmp_path_factory.mktemp("trees") / name
        root.mkdir()
        made[name] = build(root), root
    return made


def load(trees: dict[str, tuple[Tree, Path]], name: str, **more: object) -> Dataset:
    tree, root = trees[name]
    return DATA.build(name, **DATA.complete(name, {**tree.options, **more})).load(root)


@pytest.mark.parametrize("name", DATA)
def test_a_set_is_what_the_tasks_expect(name: str, trees) -> None:
    tree, root = trees[name]
    DATA.build(name, **tree.options).check(root)
    data = load(trees, name)
    classes = len(data.class_names)
    shapes = {split: getattr(data, split).images.shape for split in SPLITS}
    assert len({shape[1:] for shape in shapes.values()}) == 1
    for split in (data.train, data.val, data.test):
        assert split.images.dtype == np.uint8
        assert split.images.ndim == 4
        assert len(split.images) > 0
        assert split.images.shape[1] == split.images.shape[2]
        assert split.images.shape[3] in (1, 3)
        assert (split.masks is None) == (classes == 0)
        if split.masks is not None:
            assert split.masks.dtype == np.uint8
            assert split.masks.shape == split.images.shape[:3]
            assert set(np.unique(split.masks)) <= {*range(classes), VOID}
    assert len(set(data.class_names)) == classes


@pytest.mark.parametrize("name", DATA)
def test_no_image_is_in_two_splits(name: str, trees) -> None:
    data = load(trees, name)
    images = {split: {image.tobytes() for image in getattr(data, split).images} for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not images[one] & images[other], (one, other)


@pytest.mark.parametrize("name", DATA)
def test_the_cache_gives_what_loading_gives(name: str, trees) -> None:
    tree, root = trees[name]
    spec = Spec(name, DATA.complete(name, tree.options))
    plain, cached = load(trees, name), cache.load(spec, root)
    assert plain.identity() == cached.identity() == cache.load(spec, root).identity()
    assert plain.class_names == cached.class_names
    for split in SPLITS:
        for one, other in zip(vars(getattr(plain, split)).values(), vars(getattr(cached, split)).values(), strict=True):
            assert isinstance(one, str) or np.array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in DATA if "size" in DATA.options(name)])
def test_size_is_the_side_of_the_squares(name: str, trees) -> None:
    for size in (32, 64):
        data = load(trees, name, size=size)
        assert {split.images.shape[1:3] for split in (data.train, data.val, data.test)} == {(size, size)}


@pytest.mark.parametrize("name", [name for name in DATA if "limit" in DATA.options(name)])
def test_a_limited_split_is_the_beginning_of_the_whole(name: str, trees) -> None:
    whole, limited = load(trees, name), load(trees, name, limit=2)
    for split in SPLITS:
        some, every = getattr(limited, split), getattr(whole, split)
        assert len(some.images) == min(2, len(every.images))
        assert np.array_equal(some.images, every.images[:2])
        if every.masks is not None:
            assert np.array_equal(some.masks, every.masks[:2])


@pytest.mark.parametrize("name", FROM_FOLDERS)
def test_a_folder_must_be_named_and_must_be_there(name: str, trees) -> None:
    tree, root = trees[name]
    data = DATA.build(name, **tree.options)
    with pytest.raises(UserError, match=rf"data set '{name}' needs the folder that holds .*: name it with --data"):
        data.check(None)
    with pytest.raises(UserError, match=r"data folder .*nowhere does not exist"):
        data.check(root / "nowhere")


@pytest.mark.parametrize("name", FROM_FOLDERS)
def test_an_empty_folder_is_refused_with_what_was_expected(name: str, trees, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=r"is not there|does not exist") as caught:
        DATA.build(name, **trees[name][0].options).check(tmp_path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(tmp_path) in said
    assert "other" in said or name == "npz"


@pytest.mark.parametrize("name", FROM_FOLDERS)
def test_a_missing_file_is_named(name: str, trees, tmp_path: Path) -> None:
    tree, root = trees[name]
    copy = shutil.copytree(root, tmp_path / "copy")
    (copy / tree.missing).unlink()
    data = DATA.build(name, **tree.options)
    find = data.load if name == "coco" else data.check  # COCO's annotations take too long to read twice
    with pytest.raises(UserError) as caught:
        find(copy)
    parts = Path(tree.missing)
    assert parts.name.removesuffix(".gz") in str(caught.value) or str(parts.parent) in str(caught.value)


@pytest.mark.parametrize("name", FROM_FOLDERS)
def test_a_damaged_file_is_named(name: str, trees, tmp_path: Path) -> None:
    tree, root = trees[name]
    copy = shutil.copytree(root, tmp_path / "copy")
    path = copy / tree.damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"damaged|cannot be read") as caught:
        DATA.build(name, **tree.options).load(copy)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in DATA if issubclass(DATA.get(name), ImageSet)])
def test_the_list_says_layout_and_licence(name: str) -> None:
    said = " ".join(DATA.get(name).__doc__.split("\n\n")[0].split())
    assert "Layout: " in said
    assert any(word in said for word in ("CC", "MIT", "licence", "Licence", "non-commercial", "terms"))
    assert DATA.get(name).name == name
    with pytest.raises(ValueError, match="size must be at least 1"):
        DATA.build(name, size=0)
