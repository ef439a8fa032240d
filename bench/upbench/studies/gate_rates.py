"""How often does the gate err on this machine? Run `python -m upbench.studies.gate_rates DIR` in a checkout of upbench.

Measures its false alarms, and what it finds of defects put in on purpose, beside the rules of two other suites. Takes
about five minutes for each whole comparison, and writes DIR/table.md, which is the table of GATE.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy import stats

from upbench.errors import UserError
from upbench.files import write_atomically
from upbench.gate import PAIRS
from upbench.gate.checkout import repository
from upbench.gate.recording import Recording
from upbench.studies.gate_defects import LAYER, SAME, SLOWER, SOURCE
from upbench.studies.gate_recordings import Pair, count_exact_found, read_pairs, record
from upbench.studies.gate_rules import Decision, Draw, Key, make_rules
from upbench.studies.tables import format_table


@dataclass(frozen=True)
class Rate:
    """How many of so many trials.

    Attributes:
        hits: the trials that are counted.
        trials: all trials.
    """

    hits: int
    trials: int

    def __str__(self) -> str:
        return f"{self.hits} of {self.trials}"

    def with_interval(self) -> str:
        """Write the rate and its exact 95 % interval (Clopper-Pearson), where the trials have nothing in common."""
        if not self.trials:
            return str(self)
        test = stats.binomtest(self.hits, self.trials)
        interval = test.proportion_ci(method="exact")
        low = 100 * interval.low
        high = 100 * interval.high
        return f"{self} ({low:.1f} to {high:.1f} %)"


@dataclass(frozen=True)
class Line:
    """What one rule does.

    Attributes:
        rule: the name of the rule.
        false_alarms: comparisons of the same code that call anything slower.
        found: for each slower variant, the comparisons that call the defective layer slower.
    """

    rule: str
    false_alarms: Rate
    found: tuple[Rate, ...]


def measure_rates(out: Path, rules: Mapping[str, Decision], *, alarms: int = 200, findings: int = 100) -> list[Line]:
    """Draw whole comparisons from the recorded pairs, and count what each rule says of them.

    A comparison takes no pair twice. Two comparisons share pairs, so the rates are those of these recordings, and no
    interval belongs to them.

    Args:
        out: the folder of all recordings.
        rules: the rules by name.
        alarms: comparisons of the same code, drawn with the seeds 0, 1, 2, ...
        findings: comparisons of each slower variant, drawn likewise.

    Returns:
        A line for each rule.

    Raises:
        UserError: fewer pairs are recorded than two whole measurements take.
    """
    same_pairs = _read_enough_pairs(out, SAME.name)
    slower_pairs = [_read_enough_pairs(out, variant.name) for variant in SLOWER]
    lines = []
    for name, decide in rules.items():
        false_alarms = 0
        for seed in range(alarms):
            false_alarms += bool(decide(draw_from(same_pairs, seed)))
        found = []
        for pairs in slower_pairs:
            hits = 0
            for seed in range(findings):
                called_slower = decide(draw_from(pairs, seed))
                hits += _names_the_layer(called_slower, pairs[0][0])
            found.append(Rate(hits, findings))
        lines.append(Line(name, Rate(false_alarms, alarms), tuple(found)))
    return lines


def _read_enough_pairs(out: Path, variant: str) -> list[Pair]:
    pairs = read_pairs(out, variant)
    needed = 2 * PAIRS  # a comparison that flags something measures once more
    if len(pairs) < needed:
        raise UserError(f"{out} holds {len(pairs)} recorded pairs of {variant!r}; at least {needed} are needed")
    return pairs


def _names_the_layer(called_slower: set[Key], recording: Recording) -> bool:
    """Whether the defective layer is among the times that a rule calls slower."""
    return any(_layer_of(cell, recording) == LAYER for cell, _ in called_slower)


def _layer_of(cell: str, recording: Recording) -> str:
    return recording.recorded.cells[cell]["layer"]["name"]


def draw_from(pairs: Sequence[Pair], seed: int) -> Draw:
    """Shuffle the pairs by a seed. The result hands them out, so many at a time, until none is left."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pairs))
    left = [pairs[index] for index in order]

    def draw(count: int) -> tuple[list[Recording], list[Recording]]:
        """Take so many pairs away; base and head apart, in the same order."""
        drawn = [left.pop() for _ in range(count)]
        bases, heads = zip(*drawn, strict=True)
        return list(bases), list(heads)

    return draw


def measure_slowness(pairs: Sequence[Pair]) -> float:
    """Measure how many times slower the layer's forward pass is in head, by the medians of all processes."""
    base_ratios = [_forward_ratio(base) for base, _ in pairs]
    head_ratios = [_forward_ratio(head) for _, head in pairs]
    return float(np.median(head_ratios) / np.median(base_ratios))


def _forward_ratio(recording: Recording) -> float:
    """The time of the layer's forward pass as a multiple of the anchor's."""
    for (cell, mode), ratio in recording.ratios().items():
        if mode == "forward" and _layer_of(cell, recording) == LAYER:
            return ratio
    raise ValueError(f"a recording does not time {LAYER}")


def count_whole_alarms(out: Path) -> Rate:
    """Count the alarms among the comparisons of the same code that were run whole."""
    files = sorted((out / "comparisons").glob("*.json"))
    alarms = 0
    for file in files:
        alarms += json.loads(file.read_bytes())["failed"]
    return Rate(alarms, len(files))


def to_markdown(out: Path, lines: Sequence[Line], exact: Mapping[str, Rate]) -> str:
    """Write the table of GATE.md.

    Args:
        out: the folder of all recordings.
        lines: the rates of each rule.
        exact: how often each defect in exact figures was found, by its name; empty where that was not run.
    """
    head = ["rule", "false alarms"]
    for variant in SLOWER:
        factor = variant.name.removeprefix("slower ")
        head.append(f"{factor}x slower found")
    body = []
    for line in lines:
        rates = [line.false_alarms, *line.found]
        body.append([line.rule, *map(str, rates)])
    recorded = []
    for variant in (SAME, *SLOWER):
        pairs = read_pairs(out, variant.name)
        slowness = measure_slowness(pairs)
        recorded.append(f"{len(pairs)} of `{variant.name}`, {slowness:.3f}")
    found = [f"{name}: {rate.with_interval()}" for name, rate in exact.items()]
    pairs_text = ", ".join(recorded)
    found_text = "; ".join(found) or "not run"
    alarms = count_whole_alarms(out)
    return (
        f"{format_table(head, body)}\n"
        f"Drawn from recorded pairs of fresh processes ({pairs_text} times as slow as its base). Whole comparisons of "
        f"the same code, run for real, that raised an alarm: {alarms.with_interval()}. Found among exact figures: "
        f"{found_text}.\n"
    )


def find_upbench() -> Path:
    """Find the root of the checkout that the command runs in. Raises UserError if it is not one of upbench."""
    root = repository()
    if not (root / SOURCE).is_file():
        raise UserError(f"{root} is not a checkout of upbench: it has no {SOURCE}; run the study in one")
    return root


def run_study(out: Path, *, comparisons: int, slow: int, repeats: int) -> None:
    """Record what is missing in a folder, count, print the table and write it to table.md.

    Args:
        out: the folder of all recordings.
        comparisons: whole comparisons of the same code.
        slow: pairs of processes of each slower variant.
        repeats: comparisons for each defect in exact figures.

    Raises:
        UserError: the command does not run in a checkout of upbench, or another suite is not installed.
    """
    console = Console()
    root = find_upbench()
    # where another suite is not installed, this refuses now and not after hours
    rules = make_rules()
    record(root, out, comparisons=comparisons, pairs=PAIRS, slow=slow, console=console)
    exact = {}
    for name, hits in count_exact_found(root, out, repeats, console).items():
        exact[name] = Rate(hits, repeats)
    table = to_markdown(out, measure_rates(out, rules), exact)
    print(table)
    path = out / "table.md"
    write_atomically(path, table)
    print(f"wrote {path}")


def parse_count(text: str) -> int:
    """Read a number of at least 1 from the command line."""
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is not at least 1")
    return count


def main() -> None:
    """Parse the command line and run the study."""
    parser = argparse.ArgumentParser(
        prog="python -m upbench.studies.gate_rates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="DIR", help="where recordings are kept; the same folder goes on")
    parser.add_argument("--comparisons", type=parse_count, default=20, help="whole comparisons of the same code")
    parser.add_argument("--slow", type=parse_count, default=120, help="pairs of processes of each slower variant")
    parser.add_argument("--repeats", type=parse_count, default=5, help="comparisons for each defect in exact figures")
    arguments = parser.parse_args()
    try:
        run_study(arguments.out, comparisons=arguments.comparisons, slow=arguments.slow, repeats=arguments.repeats)
    except UserError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
