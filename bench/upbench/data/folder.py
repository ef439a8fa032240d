"""A plain folder of images, with masks or without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from upbench.data.base import SPLITS
from upbench.data.image_set import VAL_SHARE, ImageSet, Sample, divide
from upbench.data.refusals import describe_missing, require_folder
from upbench.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg")
TEST_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Folder(ImageSet):
    """A folder of PNG or JPEG images of your own, with masks or without.

    Layout: {train,val,test}/images and, for segmentation, PNGs of the same names in {train,val,test}/masks; or images/
    and masks/ alone; or just images. Licence: as you have it.

    Without train/ and test/ a fifth of the images is test and a tenth val, by the hash of the file name; with them but
    without val/, a tenth of train is val.

    Attributes:
        size: side of the squares that images and masks are resized to, in pixels, at least 1. Default: 256.
        limit: the most samples of each split, 0 for all. Default: 0.
        path: the folder, below the data folder. Default: "", the data folder itself.
        class_names: the names of the labels 0, 1, ... in the masks, where 255 is void; needed if and only if there are
            masks. Default: (), no masks.
    """

    path: str = ""
    class_names: tuple[str, ...] = ()

    name: ClassVar[str] = "folder"

    def find_home(self, folder: Path | None) -> Path:
        """The folder that the option `path` names. Raises UserError if it is not there."""
        folder = require_folder(folder, self.name, self.path or "the images")
        home = folder / self.path
        if not home.is_dir():
            raise describe_missing(self.name, home, folder)
        return home

    def required_files(self) -> tuple[str, ...]:
        """Anything: which images there are is found when they are listed."""
        return ("*",)

    def name_classes(self, home: Path | None) -> tuple[str, ...]:
        """The option `class_names`."""
        return tuple(self.class_names)  # a list where the option comes from JSON

    def sources(self, folder: Path | None) -> list[Path]:
        """The folders of images and masks, or the images themselves where they lie in no such folder."""
        home = self.find_home(folder)
        names = SPLITS if _has_splits(home) else ("images", "masks")
        folders = [home / name for name in names]
        present = [folder for folder in folders if folder.is_dir()]
        return present or _list_images(home)

    def list_samples(self, home: Path) -> dict[str, list[Sample]]:
        """The images of each split, divided by hash where there are no folders of splits."""
        if not _has_splits(home):
            samples = self._pair(home)
            return divide(samples, val=VAL_SHARE, test=TEST_SHARE)
        train = self._pair(home / "train")
        splits = {"train": train}
        val = home / "val"
        if val.is_dir():
            splits["val"] = self._pair(val)
        else:
            splits |= divide(train, val=VAL_SHARE)
        splits["test"] = self._pair(home / "test")
        # after the division, which goes by the name of the file alone
        for split, samples in splits.items():
            splits[split] = _prefix_names(split, samples)
        return splits

    def _pair(self, folder: Path) -> list[Sample]:
        """The images in a folder, each with its mask if there are masks."""
        masks = folder / "masks"
        has_masks = masks.is_dir()
        if has_masks != bool(self.class_names):
            found = f"masks are in {masks}" if has_masks else f"there is no folder {masks}"
            raise UserError(f"data set 'folder' needs the option class_names if and only if there are masks; {found}")
        images = folder
        if (folder / "images").is_dir():
            images = folder / "images"
        samples = []
        for path in _list_images(images):
            mask = masks / f"{path.stem}.png" if has_masks else None
            sample = Sample(path.name, path, mask)
            samples.append(sample)
        if not samples:
            expected = ", ".join(EXTENSIONS)
            raise UserError(f"data set 'folder' expects images ({expected}) in {images}; it has none")
        return samples


def _prefix_names(split: str, samples: list[Sample]) -> list[Sample]:
    """Put the split before the names: files of two splits may have the same name, samples may not."""
    prefixed = []
    for sample in samples:
        name = f"{split}/{sample.name}"
        prefixed.append(sample._replace(name=name))
    return prefixed


def _has_splits(home: Path) -> bool:
    return (home / "train").is_dir()


def _list_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _is_image(path))


def _is_image(path: Path) -> bool:
    extension = path.suffix.lower()
    return extension in EXTENSIONS
