"""How often the gate errs: whole comparisons of the same code, and of code made slower on purpose.

Everything is kept in one folder and goes on where it was: recordings/VARIANT/*-base.json and *-head.json, the two
fresh processes of a pair, cut down to what the decision needs; comparisons/*.json, the verdicts of whole comparisons;
GATE.md's table is made from those. A defect is recorded as `regress` would meet it, beside the same code without it:
figures taken an hour apart differ by more than a small defect.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.gate import report
from bench.gate.checkout import cells_of, checked_out, start
from bench.gate.compare import FAILING, Row, compare
from bench.gate.decide import Rule
from bench.gate.recording import Recording, read_recording
from bench.gate.regress import SIDES, Cells, Trees, processors, record_pairs, regress
from bench.gate.sides import Side, read_side
from bench.run.progress import counted
from bench.run.store import write_atomically

LAYER = "pixel_dcl"
SOURCE, CLASS = Path("bench", "layers", "pixel_dcl.py"), "PixelDCL"
GRID = Path("ablations", "gate.toml")
Pair = tuple[Recording, Recording]  # of base and of head, made beside each other


@dataclass(frozen=True)
class Variant:
    """A defect put into a checkout: code behind a file's end, or a line taken out of one."""

    name: str
    file: Path
    append: str = ""
    remove: str = ""


def slower(factor: float) -> str:
    """Code after which the layer spins until its forward pass has taken `factor` times its processor time."""
    return f"""

from time import process_time as _now  # as the gate measures it: other processes must not add to the defect

_upsample = {CLASS}.upsample


def _slower(self, x):
    began = _now()
    y = _upsample(self, x)
    until = began + {factor} * (_now() - began)
    while _now() < until:
        pass
    return y


{CLASS}.upsample = _slower
"""


LARGER = f"""

import torch

_upsample = {CLASS}.upsample


def _larger(self, x):
    held = torch.empty(256)  # 1 KiB
    y = _upsample(self, x)
    del held
    return y


{CLASS}.upsample = _larger
"""

ONE_MORE = f"""

import torch

_init = {CLASS}.__init__


def _one_more(self, in_channels, out_channels, **options):
    _init(self, in_channels, out_channels, **options)
    self.superfluous = torch.nn.Parameter(torch.zeros(1))


_one_more.__signature__ = __import__("inspect").signature(_init)
_one_more.__annotations__ = _init.__annotations__
{CLASS}.__init__ = _one_more
"""

SAME = Variant("same", SOURCE)
# while it spins, caches and vector units cool, and the pass itself takes longer: less is put in than is found, so that
# what is found is what the name says; the table gives it as measured
SLOWER = (Variant("slower 1.15", SOURCE, slower(1.12)), Variant("slower 1.5", SOURCE, slower(1.36)))
EXACT = (
    Variant("1 KiB more memory", SOURCE, LARGER),
    Variant("one parameter more", SOURCE, ONE_MORE),
    Variant("a vanished cell", GRID, remove=f'"{LAYER}",'),
)


@contextmanager
def injected(root: Path, variant: Variant) -> Iterator[Path]:
    """A checkout of HEAD with the variant's defect in it."""
    with checked_out(root, "HEAD") as tree:
        file = tree / variant.file
        text = file.read_text(encoding="utf-8")
        if variant.remove not in text:
            raise RuntimeError(f"{variant.file} has no {variant.remove!r} to take out")
        file.write_text(text.replace(variant.remove, "", 1) + variant.append, encoding="utf-8")
        yield tree


def record(root: Path, out: Path, *, comparisons: int, pairs: int, slow: int, console: Console) -> None:
    """Whole comparisons of HEAD with itself, and between each two some pairs of HEAD and every slower variant.

    slow: pairs of each slower variant in all. What is there already is kept.
    """
    with ExitStack() as stack:
        base, head = (stack.enter_context(injected(root, SAME)) for _ in range(2))
        slower_heads = {variant.name: stack.enter_context(injected(root, variant)) for variant in SLOWER}
        cells = cells_of(base, None)
        both = Cells(cells, cells)
        for index in counted(range(comparisons), comparisons, "whole comparisons", console):
            verdict = out / "comparisons" / f"{index:03}.json"
            if not verdict.exists():
                with _scratch(out) as scratch:
                    rows = regress(
                        Trees(base, head), both, scratch, pairs=pairs, rule=Rule(), console=Console(quiet=True)
                    )
                    _keep(scratch / "first", out, SAME.name, index)
                verdict.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(verdict, report.to_json(rows, Rule()))
            share = (index + 1) * slow // comparisons - index * slow // comparisons
            for name, tree in slower_heads.items():
                if share and not (out / "recordings" / name / f"{index:03}-{share - 1:03}-head.json").exists():
                    with _scratch(out) as scratch:
                        for _ in record_pairs(Trees(base, tree), both, scratch, share, exact=False):
                            pass
                        _keep(scratch, out, name, index)


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """An empty folder, whatever an earlier run left in it; gone afterwards."""
    scratch = out / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    yield scratch
    shutil.rmtree(scratch)


def _keep(folder: Path, out: Path, variant: str, index: int) -> None:
    """Store what the decision needs of a folder of pairs: a twentieth of pytest-benchmark's own files."""
    target = out / "recordings" / variant
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(file for side in SIDES for file in (folder / side).glob("*.json")):
        document = json.loads(file.read_bytes())
        benchmarks = [
            {"extra_info": each["extra_info"], "stats": {"data": each["stats"]["data"]}}
            for each in document["benchmarks"]
        ]
        kept = json.dumps({"upbench": document["upbench"], "benchmarks": benchmarks})
        write_atomically(target / f"{index:03}-{file.stem}-{file.parent.name}.json", kept)


def pool(out: Path, variant: Variant) -> list[Pair]:
    """The recorded pairs of a variant, in the order they were made."""
    heads = sorted((out / "recordings" / variant.name).glob("*-head.json"))
    bases = [head.with_name(head.name.replace("-head", "-base")) for head in heads]
    return [(read_recording(base), read_recording(head)) for base, head in zip(bases, heads, strict=True)]


def exact_found(root: Path, out: Path, repeats: int, console: Console) -> dict[str, tuple[int, int]]:
    """How many of `repeats` comparisons of one process a side name the layer as regressed or missing, by variant."""
    found: dict[str, tuple[int, int]] = {}
    folder = out / "exact"
    folder.mkdir(parents=True, exist_ok=True)
    with checked_out(root, "HEAD") as base:
        for variant in EXACT:
            hits = 0
            with injected(root, variant) as head:
                for number in counted(range(repeats), repeats, f"comparisons, {variant.name}", console):
                    verdict = folder / f"{variant.name}-{number}.json"
                    if not verdict.exists():
                        write_atomically(verdict, report.to_json(_exact_pair(base, head, folder), Rule()))
                    rows = json.loads(verdict.read_bytes())["rows"]
                    hits += any(row["verdict"] in FAILING and LAYER in row["name"] for row in rows)
            found[variant.name] = (hits, repeats)
    return found


def _exact_pair(base: Path, head: Path, folder: Path) -> list[Row]:
    def recorded(tree: Path) -> Side:
        file = folder.resolve() / "scratch.json"
        start(tree, file, cells_of(tree, None).values(), processors()[:1], exact=True).finish()
        side = read_side(file)
        file.unlink()
        return side

    return compare(recorded(base), recorded(head), Rule())
