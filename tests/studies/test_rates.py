"""The gate's own figures, from made-up recordings of the same code and of a layer that is slower."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from upbench.errors import UserError
from upbench.gate import PAIRS
from upbench.gate.recording import Recording
from upbench.studies import gate_rates
from upbench.studies.gate_defects import SAME, SLOWER
from upbench.studies.gate_recordings import read_pairs
from upbench.studies.gate_rules import Draw, Key, make_gate_rule, make_pytest_benchmark_rule

from tests.conftest import environment
from tests.gate.recordings import write

RULES = {"ours": make_gate_rule(PAIRS), "median": make_pytest_benchmark_rule("median", 5, 1)}


def record(out: Path, variant: str, slower: float, pairs: int, rng: np.random.Generator) -> None:
    for index in range(pairs):
        for side, factor in (("base", 1.0), ("head", slower)):
            base, ours = rng.lognormal(0, 0.04, 2)
            ratios = {"transposed_conv": float(base), "pixel_dcl": float(3 * factor * ours)}
            write(out / "recordings" / variant / f"000-{index:03}-{side}.json", ratios)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for variant, factor in zip((SAME, *SLOWER), (1.0, 1.15, 1.5), strict=True):
        record(tmp_path, variant.name, factor, 2 * PAIRS, rng)
    return tmp_path


def test_a_slower_layer_is_found_and_the_same_is_not(recorded: Path) -> None:
    ours, median = gate_rates.measure_rates(recorded, RULES, alarms=10, findings=5)
    assert (str(ours.false_alarms), *map(str, ours.found)) == ("0 of 10", "5 of 5", "5 of 5")
    assert median.false_alarms.hits > 0, "one process a side shows a difference of 5 % where there is none"
    text = gate_rates.to_markdown(recorded, [ours], {"one parameter more": gate_rates.Rate(3, 3)})
    assert "| ours | 0 of 10 | 5 of 5 | 5 of 5 |" in text
    assert "one parameter more: 3 of 3 (29.2 to 100.0 %)" in text


def fastest(recording: Recording) -> float:
    return min(recording.ratios().values())


def test_a_comparison_draws_whole_pairs_and_none_twice(recorded: Path) -> None:
    pairs = read_pairs(recorded, SAME.name)
    drawn: list[tuple[float, float]] = []

    def rule(draw: Draw) -> set[Key]:
        for _ in range(2):
            base, head = draw(PAIRS)
            drawn.extend((fastest(ours), fastest(theirs)) for ours, theirs in zip(base, head, strict=True))
        return set()

    rule(gate_rates.draw_from(pairs, 0))
    known = {(fastest(base), fastest(head)) for base, head in pairs}
    assert len(set(drawn)) == len(drawn) == 2 * PAIRS
    assert set(drawn) <= known


def test_too_few_recordings_are_refused(tmp_path: Path) -> None:
    record(tmp_path, SAME.name, 1.0, 3, np.random.default_rng(0))
    with pytest.raises(UserError, match=f"3 recorded pairs of 'same'; at least {2 * PAIRS}"):
        gate_rates.measure_rates(tmp_path, RULES)


def test_outside_a_checkout_of_upbench_it_is_refused_in_one_line(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "upbench.studies.gate_rates", "out"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "is not a checkout of upbench" in done.stderr
    assert not (tmp_path / "out").exists()
