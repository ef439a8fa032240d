"""What makes a stored cell stale: the code that it runs, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from upbench.cell import Cell

from tests.conftest import ROOT, environment

QUICK = ROOT / "results" / "quick" / "grid.json"
TELL = """
import json, sys
from upbench.cell import Cell
from upbench.store.provenance import fingerprint
cells = map(Cell.from_json, json.loads(sys.argv[1]))
print(json.dumps([fingerprint(cell) for cell in cells]))
assert "torch" not in sys.modules
"""


def cells_of_quick() -> list[Cell]:
    """A cell for each layer of each experiment of the main grid."""
    experiments = json.loads(QUICK.read_bytes())["experiments"]
    cells = [Cell.from_json(cell) for experiment in experiments for cell in experiment["cells"]]
    return list({(cell.task.name, cell.model.name, cell.layer.name): cell for cell in cells}.values())


CELLS = cells_of_quick()


def fingerprints(root: Path, cells: list[Cell] = CELLS, cwd: Path | None = None) -> list[str]:
    """The fingerprints that the source below `root` gives, in a process that never sees this one's."""
    document = json.dumps([cell.to_json() for cell in cells])
    done = subprocess.run(
        [sys.executable, "-c", TELL, document], cwd=cwd or root, env=environment(root), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before() -> list[str]:
    return fingerprints(ROOT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def replace_once(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def put_first_in_body(file: Path, function: str, statement: str) -> None:
    """Put a statement behind the documentation of a function."""
    head, found, body = file.read_text(encoding="utf-8").partition(f"def {function}(")
    assert found, f"{file} has no function {function}"
    signature, _, rest = body.partition('"""')
    text, _, code = rest.partition('"""\n')
    file.write_text(f'{head}{found}{signature}"""{text}"""\n    {statement}\n{code}', encoding="utf-8")


def stale(copy: Path, before: list[str]) -> set[tuple[str, str]]:
    """(task, layer) of the cells whose fingerprint is another one."""
    changed = zip(CELLS, before, fingerprints(copy), strict=True)
    return {(cell.task.name, cell.layer.name) for cell, old, new in changed if old != new}


def with_tasks(*tasks: str) -> set[tuple[str, str]]:
    return {(cell.task.name, cell.layer.name) for cell in CELLS if cell.task.name in tasks}


def test_comments_docstrings_and_layout_make_nothing_stale(copy: Path, before: list[str]) -> None:
    for file in (copy / "bench" / "upbench").rglob("*.py"):
        text = file.read_text(encoding="utf-8").replace('"""\n', 'And so on."""\n\n')
        file.write_text(f"# another comment\n{text}\n\n# and one at the end\n", encoding="utf-8")
    assert stale(copy, before) == set()


@pytest.mark.parametrize(
    ("file", "function", "tasks"),
    [
        ("overlap", "pixel_accuracy", ["segmentation"]),
        ("overlap", "count_confusions", ["segmentation"]),
        ("reconstruction", "reconstruction_psnr", ["generation"]),  # evaluated as val_reconstruction_psnr alone
        ("checkerboard", "checkerboard", ["generation"]),
        ("fidelity", "kid", ["generation"]),
        ("boundary", "boundary_f", []),
        ("fidelity", "precision", []),
        ("spectrum", "spectral_distance", []),
    ],
)
def test_a_changed_metric_makes_those_cells_stale_that_evaluate_it(
    copy: Path, before: list[str], file: str, function: str, tasks: list[str]
) -> None:
    put_first_in_body(copy / "bench" / "upbench" / "metrics" / f"{file}.py", function, "print()")
    assert stale(copy, before) == with_tasks(*tasks)


def test_a_changed_layer_makes_its_cells_stale(copy: Path, before: list[str]) -> None:
    replace_once(
        copy / "bench" / "upbench" / "layers" / "subpixel.py", "def multiply_adds", "wide = 1\n\n    def multiply_adds"
    )
    assert {layer for _, layer in stale(copy, before)} == {"pixel_shuffle"}


def test_the_layer_that_others_are_compared_with_is_run_by_every_timed_cell(copy: Path, before: list[str]) -> None:
    replace_once(
        copy / "bench" / "upbench" / "layers" / "transposed.py",
        "def multiply_adds",
        "wide = 1\n\n    def multiply_adds",
    )
    trained = {("segmentation", "transposed_conv"), ("generation", "transposed_conv")}
    assert stale(copy, before) == with_tasks("speed") | trained


def test_the_state_in_which_cells_run_is_part_of_it(copy: Path, before: list[str]) -> None:
    settled = copy / "bench" / "upbench" / "tasks" / "settled.py"
    replace_once(settled, "torch.manual_seed(cell.seed)", "torch.manual_seed(cell.seed + 1)")
    assert stale(copy, before) == with_tasks("segmentation", "generation", "speed")


def test_what_a_module_does_to_a_class_from_outside_is_part_of_it(copy: Path, before: list[str]) -> None:
    with (copy / "bench" / "upbench" / "layers" / "pixel_dcl.py").open("a") as file:
        file.write("\n\nPixelDCL.upsample = lambda self, x: x\n")
    assert {("segmentation", "pixel_dcl"), ("speed", "pixel_dcl")} <= stale(copy, before)


def test_another_component_on_the_list_makes_nothing_stale(copy: Path, before: list[str]) -> None:
    anchor = '        "pixel_dcl": "upbench.layers.pixel_dcl:PixelDCL",\n'
    replace_once(
        copy / "bench" / "upbench" / "layers" / "__init__.py", anchor, anchor + anchor.replace('"p', '"my_p', 1)
    )
    assert stale(copy, before) == set()


OWN = "from upbench.layers.base import UpsamplingLayer\n{imported}\n\n\nclass Mine(UpsamplingLayer):\n    {body}\n"


@pytest.mark.parametrize(
    ("imported", "body"),
    [
        ("from neighbour import *", "width = count()"),
        ("import neighbour as near", "width = near.count()"),
        ("try:\n    from neighbour import count\nexcept ImportError:\n    count = int", "width = count()"),
        ("from neighbour import count as c\nUpsamplingLayer.width = c", "width = 1"),
    ],
)
def test_what_a_users_layer_imports_is_part_of_it_however_it_is_imported(
    tmp_path: Path, imported: str, body: str
) -> None:
    own = dataclasses.replace(CELLS[0], layer=dataclasses.replace(CELLS[0].layer, name="./mine.py:Mine"))
    (tmp_path / "mine.py").write_text(OWN.format(imported=imported, body=body))
    (tmp_path / "neighbour.py").write_text("def count():\n    return 3\n")
    first = fingerprints(ROOT, [own], tmp_path)
    (tmp_path / "neighbour.py").write_text("def count():\n    return 4\n")
    assert fingerprints(ROOT, [own], tmp_path) != first


def test_the_source_of_a_users_own_layer_is_part_of_it(tmp_path: Path) -> None:
    own = dataclasses.replace(CELLS[0], layer=dataclasses.replace(CELLS[0].layer, name="./mine.py:Mine"))
    (tmp_path / "neighbour.py").write_text("WIDTH = 3\n")
    layer = (
        "from upbench.layers.base import UpsamplingLayer\nfrom neighbour import WIDTH\n\n\n"
        "class Mine(UpsamplingLayer):\n    width = WIDTH\n"
    )
    (tmp_path / "mine.py").write_text(layer)

    def tell() -> list[str]:
        return fingerprints(ROOT, [own], tmp_path)

    first = tell()
    (tmp_path / "mine.py").write_text(f"# mine\n{layer}")
    assert tell() == first, "a comment is no other layer"
    (tmp_path / "mine.py").write_text(layer.replace("width =", "breadth ="))
    second = tell()
    assert second != first
    (tmp_path / "neighbour.py").write_text("WIDTH = 4\n")
    assert tell() not in (first, second), "what it imports from beside it"
