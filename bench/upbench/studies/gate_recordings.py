"""The comparisons that `gate_rates` counts: of the same code, and of code made worse on purpose.

Everything is kept in one folder, and a further run goes on where the last one was:

    recordings/VARIANT/*-base.json, *-head.json   the two fresh processes of a pair, cut down to what a decision needs
    comparisons/*.json                            the verdicts of whole comparisons of the same code
    exact/*.json                                  the verdicts on defects in exact figures

A defect is recorded as `upbench regress` would meet it, beside the same code without it: figures taken an hour apart
differ by more than a small defect.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from upbench.files import write_atomically
from upbench.gate import report
from upbench.gate.checkout import cells_of, checked_out, start
from upbench.gate.compare import Row, compare_sides
from upbench.gate.decide import Rule
from upbench.gate.recording import Recording, read_recording
from upbench.gate.regress import SIDES, Cells, Trees, processors, record_pairs, regress
from upbench.gate.sides import Side, read_side
from upbench.gate.verdict import Verdict
from upbench.progress import count_aloud
from upbench.studies.gate_defects import EXACT, LAYER, SAME, SLOWER, injected

Pair = tuple[Recording, Recording]  # of base and of head, made beside each other

FAILING = [verdict.value for verdict in Verdict if verdict.fails]


def record(root: Path, out: Path, *, comparisons: int, pairs: int, slow: int, console: Console) -> None:
    """Record whole comparisons of HEAD with itself, and pairs of HEAD and every slower variant in between.

    The slower pairs are spread over the whole time, so that both see the same moods of the machine. What is in the
    folder already is kept.

    Args:
        root: the checkout of upbench.
        out: the folder of all recordings.
        comparisons: whole comparisons in all.
        pairs: pairs of processes of a whole comparison.
        slow: pairs of each slower variant in all.
        console: where progress is told.
    """
    with ExitStack() as stack:
        base = stack.enter_context(injected(root, SAME))
        head = stack.enter_context(injected(root, SAME))
        trees = Trees(base, head)
        slower_trees = {}
        for variant in SLOWER:
            slower_head = stack.enter_context(injected(root, variant))
            slower_trees[variant.name] = Trees(base, slower_head)
        cells = cells_of(base, None)
        both = Cells(cells, cells)
        # the shares of two comparisons differ by one at most, and all add up to `slow`
        ends = [index * slow // comparisons for index in range(comparisons + 1)]
        for index in count_aloud(range(comparisons), comparisons, "whole comparisons", console):
            _record_comparison(trees, both, out, index, pairs)
            share = ends[index + 1] - ends[index]
            for name, its_trees in slower_trees.items():
                _record_variant(its_trees, both, out, name, index, share)


def _record_comparison(trees: Trees, cells: Cells, out: Path, index: int, pairs: int) -> None:
    """Run one whole comparison of the same code, unless its verdict is there."""
    verdict = out / "comparisons" / f"{index:03}.json"
    if verdict.exists():
        return
    rule = Rule()
    with _empty_scratch(out) as scratch:
        rows = regress(
            trees,
            cells,
            scratch,
            pairs=pairs,
            rule=rule,
            console=Console(quiet=True),
        )
        # what was flagged and measured again is no fair sample of the pairs
        _keep_recordings(scratch / "first", out, SAME.name, index)
    verdict.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(verdict, report.to_json(rows, rule))


def _record_variant(trees: Trees, cells: Cells, out: Path, name: str, index: int, pairs: int) -> None:
    """Record the share of a slower variant that belongs to one comparison, unless its last pair is there."""
    if not pairs:
        return
    last = out / "recordings" / name / f"{index:03}-{pairs - 1:03}-head.json"
    if last.exists():
        return
    with _empty_scratch(out) as scratch:
        # exact figures are left out, because no decision on times reads them
        for _ in record_pairs(trees, cells, scratch, pairs, exact=False):
            pass
        _keep_recordings(scratch, out, name, index)


@contextmanager
def _empty_scratch(out: Path) -> Iterator[Path]:
    """An empty folder, whatever an earlier run left in it; gone afterwards."""
    scratch = out / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    yield scratch
    shutil.rmtree(scratch)


def _keep_recordings(folder: Path, out: Path, variant: str, index: int) -> None:
    """Store what a decision needs of a folder of pairs."""
    target = out / "recordings" / variant
    target.mkdir(parents=True, exist_ok=True)
    for side in SIDES:
        files = (folder / side).glob("*.json")
        for file in sorted(files):
            document = json.loads(file.read_bytes())
            kept = _cut_down(document)
            name = f"{index:03}-{file.stem}-{side}.json"
            write_atomically(target / name, json.dumps(kept))


def _cut_down(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a recording that `read_recording` reads: a twentieth of what pytest-benchmark writes."""
    benchmarks = []
    for benchmark in document["benchmarks"]:
        seconds = benchmark["stats"]["data"]
        benchmarks.append({"extra_info": benchmark["extra_info"], "stats": {"data": seconds}})
    return {"upbench": document["upbench"], "benchmarks": benchmarks}


def read_pairs(out: Path, variant: str) -> list[Pair]:
    """Read the recorded pairs of a variant, in the order in which they were made."""
    pairs = []
    for head in sorted((out / "recordings" / variant).glob("*-head.json")):
        base = head.with_name(head.name.replace("-head", "-base"))
        pairs.append((read_recording(base), read_recording(head)))
    return pairs


def count_exact_found(root: Path, out: Path, repeats: int, console: Console) -> dict[str, int]:
    """Count the comparisons that call the defective layer regressed or missing by an exact figure.

    Args:
        root: the checkout of upbench.
        out: the folder of all recordings.
        repeats: comparisons of one process a side, for each defect.
        console: where progress is told.

    Returns:
        The number of those comparisons by the name of the defect.
    """
    folder = out / "exact"
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    with checked_out(root, "HEAD") as base:
        for variant in EXACT:
            hits = 0
            with injected(root, variant) as head:
                for number in count_aloud(range(repeats), repeats, f"comparisons, {variant.name}", console):
                    verdict = folder / f"{variant.name}-{number}.json"
                    if not verdict.exists():
                        rows = _compare_exact(base, head, folder)
                        write_atomically(verdict, report.to_json(rows, Rule()))
                    hits += _names_the_layer(verdict)
            found[variant.name] = hits
    return found


def _names_the_layer(verdict: Path) -> bool:
    """Whether a stored comparison fails by a figure of the defective layer."""
    document = json.loads(verdict.read_bytes())
    return any(row["verdict"] in FAILING and LAYER in row["name"] for row in document["rows"])


def _compare_exact(base: Path, head: Path, folder: Path) -> list[Row]:
    """Compare one process of each checkout, exact figures and all."""
    base_side = _record_once(base, folder)
    head_side = _record_once(head, folder)
    return compare_sides(base_side, head_side, Rule())


def _record_once(tree: Path, folder: Path) -> Side:
    file = folder.resolve() / "scratch.json"
    cells = cells_of(tree, None).values()
    one_processor = processors()[:1]
    start(tree, file, cells, one_processor, exact=True).finish()
    side = read_side(file)
    file.unlink()
    return side
