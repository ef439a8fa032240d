"""The paper's protocol from end to end: its own grid on tiny trees, with nothing but sizes and budgets cut."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from upbench.store.store import Store

from tests.conftest import ROOT, Command
from tests.data import trees

CUTS = {
    r"steps = \d+": "steps = 1",
    r"batch = \d+": "batch = 2",
    r"samples = \d+": "samples = 4",
    r"size = \d+": "size = 32",
    r"side = \d+": "side = 32, blocks = 1, seconds = 0.01",
    r"channels = \d+, (depth|latent)": r"channels = 2, \1",
    r"resnet101": "resnet50",
}


def data(root: Path) -> Path:
    """VOC 2012 with the augmented list, MSCOCO as of 2014 and CelebA, as they are distributed."""
    for make in (trees.voc2012, trees.coco, trees.celeba):
        make(root)
    voc = root / "VOCdevkit" / "VOC2012"
    shutil.copy(voc / "ImageSets/Segmentation/train.txt", voc / "ImageSets/Segmentation/trainaug.txt")
    shutil.copytree(voc / "SegmentationClass", voc / "SegmentationClassAug")
    for path in sorted((root / "coco").rglob("*2017*"), reverse=True):
        path.rename(path.with_name(path.name.replace("2017", "2014")))
    return root


def test_the_papers_grid_runs_from_end_to_end(tmp_path: Path, upbench: Command) -> None:
    text = (ROOT / "ablations" / "paper.toml").read_text(encoding="utf-8")
    for pattern, cut in CUTS.items():
        text, count = re.subn(pattern, cut, text)
        assert count, f"{pattern} is not in the grid any more"
    (tmp_path / "paper.toml").write_text(text, encoding="utf-8")
    words = ("--data", data(tmp_path / "data"), "--device", "cpu", "--only", "layer=pixel_dcl", "--only", "seed=0")
    done = upbench("run", "paper.toml", "--out", "out", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    store = Store(tmp_path / "out")
    records = [store.read(path.stem) for path in store.cells.glob("*.json")]
    assert len(records) == 5
    measured = {measurement.metric for record in records if record for measurement in record.measurements}
    assert {"mean_iou", "mean_iou_released", "fd_effnet", "train_time_ratio"} <= measured
    assert {path.stem for path in (tmp_path / "out" / "tables").glob("*.tex")} == {"unet", "deeplab", "faces", "time"}
    assert {path.stem for path in (tmp_path / "out" / "figures").iterdir()} == {"masks", "images", "curves"}
