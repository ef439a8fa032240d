"""A plain folder of images, with masks or without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.data.base import SPLITS
from bench.data.files import VAL_SHARE, ImageSet, Listing, Sample, divide, missing, named
from bench.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg")
TEST_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Folder(ImageSet):
    """A folder of PNG or JPEG images of your own. Layout: {train,val,test}/images and, for segmentation, PNGs of the
    same names in {train,val,test}/masks; or images/ and masks/ alone; or just images. Licence: as you have it.

    path: the folder, below the data folder. class_names: the names of the labels 0, 1, ... in the masks, where 255 is
    void; needed if and only if there are masks. Without train/ and test/ a fifth of the images is test and a tenth
    val, by the hash of the file name; with them but without val/, a tenth of train is val.
    """

    path: str = ""
    class_names: tuple[str, ...] = ()

    name: ClassVar[str] = "folder"

    def home(self, folder: Path | None) -> Path:
        home = named(folder, self.name, self.path or "the images") / self.path
        if not home.is_dir():
            raise missing(self.name, home, named(folder, self.name, self.path))
        return home

    def needs(self) -> tuple[str, ...]:
        return ("*",)

    def sources(self, folder: Path | None) -> list[Path]:
        home = self.home(folder)
        parts = [home / part for part in (SPLITS if (home / "train").is_dir() else ("images", "masks"))]
        return [part for part in parts if part.is_dir()] or [path for path in home.iterdir() if _is_image(path)]

    def listing(self, home: Path) -> Listing:
        if not (home / "train").is_dir():
            return Listing(divide(self._samples(home), val=VAL_SHARE, test=TEST_SHARE), tuple(self.class_names))
        splits = {split: self._samples(home / split) for split in SPLITS if split != "val" or (home / "val").is_dir()}
        if "val" not in splits:
            splits |= divide(splits["train"], val=VAL_SHARE)
        named_apart = {
            split: [sample._replace(name=f"{split}/{sample.name}") for sample in samples]
            for split, samples in splits.items()
        }
        return Listing(named_apart, tuple(self.class_names))

    def _samples(self, folder: Path) -> list[Sample]:
        images = folder / "images" if (folder / "images").is_dir() else folder
        masks = folder / "masks"
        if masks.is_dir() != bool(self.class_names):
            needed = f"masks are in {masks}" if masks.is_dir() else f"there is no folder {masks}"
            raise UserError(f"data set 'folder' needs the option class_names if and only if there are masks; {needed}")
        found = sorted(path for path in images.iterdir() if _is_image(path)) if images.is_dir() else []
        if not found:
            raise UserError(f"data set 'folder' expects images ({', '.join(EXTENSIONS)}) in {images}; it has none")
        return [Sample(path.name, path, masks / f"{path.stem}.png" if self.class_names else None) for path in found]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS
