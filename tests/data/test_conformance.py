"""Every registered data set, on a tiny tree in its on-disk format. A set without a tree fails."""

from __future__ import annotations

import inspect
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from upbench.cell import Spec
from upbench.data import DATA, decoded
from upbench.data.base import SPLITS, Dataset, DataShape
from upbench.data.image_set import ImageSet
from upbench.errors import UserError
from upbench.masks import VOID

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


def cut_short(path: Path) -> Path:
    """Take away the second half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


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
def test_the_shape_is_known_before_anything_is_decoded(name: str, trees, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, root = trees[name]
    loaded = load(trees, name)
    _, height, width, channels = loaded.train.images.shape
    classes = 0 if loaded.train.masks is None else len(loaded.class_names)
    data = DATA.build(name, **DATA.complete(name, tree.options))
    monkeypatch.setattr(type(data), "load", lambda *_: pytest.fail("loaded"))
    assert data.shape(root) == DataShape(height, width, channels, classes)
    without_folder = None if name in ("npz", "coco") else data.shape(root)
    assert data.shape(None) == without_folder


@pytest.mark.parametrize("name", FROM_FOLDERS)
def test_the_shape_of_what_is_not_there_is_refused_like_the_check(name: str, trees, tmp_path: Path) -> None:
    data = DATA.build(name, **trees[name][0].options)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError) as from_check:
            data.check(folder)
        with pytest.raises(UserError) as from_shape:
            data.shape(folder)
        assert str(from_shape.value) == str(from_check.value)


@pytest.mark.parametrize("name", ["npz", "coco"])
def test_the_shape_of_a_damaged_file_is_refused_like_loading_it(name: str, trees, tmp_path: Path) -> None:
    tree, root = trees[name]
    path = cut_short(shutil.copytree(root, tmp_path / "copy") / tree.damaged)
    data = DATA.build(name, **tree.options)
    with pytest.raises(UserError) as from_load:
        data.load(tmp_path / "copy")
    with pytest.raises(UserError) as from_shape:
        data.shape(tmp_path / "copy")
    assert str(from_shape.value) == str(from_load.value)
    assert str(path) in str(from_shape.value)


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
    plain, cached = load(trees, name), decoded.load(spec, root)
    assert plain.identity() == cached.identity() == decoded.load(spec, root).identity()
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
    path = cut_short(copy / tree.damaged)
    with pytest.raises(UserError, match=r"damaged|cannot be read") as caught:
        DATA.build(name, **tree.options).load(copy)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", DATA)
def test_the_first_paragraph_is_one_sentence(name: str) -> None:
    """It is what the list of data sets shows."""
    summary = DATA.get(name).__doc__.split("\n\n")[0]
    assert "\n" not in summary
    assert summary.endswith(".")
    assert ". " not in summary


@pytest.mark.parametrize("name", DATA)
def test_each_option_is_documented_with_its_default(name: str) -> None:
    entries = documented_attributes(DATA.get(name).__doc__)
    options = DATA.options(name)
    assert list(entries) == list(options)
    for option, default in options.items():
        shown = json.dumps(default) if isinstance(default, str) else str(default)
        assert entries[option].endswith("must be given.") or f"Default: {shown}" in entries[option], option


def documented_attributes(doc: str) -> dict[str, str]:
    """The entries below "Attributes:", each as one line."""
    section = inspect.cleandoc(doc).partition("\nAttributes:\n")[2].partition("\n\n")[0]
    entries: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if not line.startswith("     "):
            name, _, line = line.strip().partition(": ")
            entries[name] = ""
        entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries


@pytest.mark.parametrize("name", [name for name in DATA if issubclass(DATA.get(name), ImageSet)])
def test_an_image_set_documents_its_layout_and_its_licence(name: str) -> None:
    documented = " ".join(DATA.get(name).__doc__.split())
    assert "Layout: " in documented
    assert "Licence: " in documented
    assert DATA.get(name).name == name
    with pytest.raises(ValueError, match="size must be at least 1"):
        DATA.build(name, size=0)
