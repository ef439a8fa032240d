"""The gate's own figures, from made-up recordings of the same code and of a layer that is slower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.gate import PAIRS, rates
from bench.gate.study import SAME, SLOWER, pool
from tests.gate.recordings import write

RULES = {"ours": rates.gate_rule(PAIRS), "median": rates.pytest_benchmark_rule("median", 5, 1)}


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


def test_a_slower_layer_is_found_and_the_same_is_not(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "rules", lambda: RULES)
    ours, median = rates.rates(recorded, alarms=10, findings=5)
    assert (str(ours.false_alarms), *map(str, ours.found)) == ("0 of 10", "5 of 5", "5 of 5")
    assert median.false_alarms.hits > 0, "one process a side shows a difference of 5 % where there is none"
    text = rates.to_markdown(recorded, [ours], {"one parameter more": rates.Rate(3, 3)})
    assert "| ours | 0 of 10 | 5 of 5 | 5 of 5 |" in text
    assert "one parameter more: 3 of 3 (29.2 to 100.0 %)" in text


def test_a_comparison_draws_whole_pairs_and_none_twice(recorded: Path) -> None:
    pairs = pool(recorded, SAME)
    drawn: list[tuple[float, float]] = []

    def rule(draw: rates.Draw) -> set[rates.Key]:
        for _ in range(2):
            base, head = draw(PAIRS)
            drawn.extend(zip(*([min(each.ratios().values()) for each in side] for side in (base, head)), strict=True))
        return set()

    rule(rates._draw(pairs, 0))
    known = {tuple(min(each.ratios().values()) for each in pair) for pair in pairs}
    assert len(set(drawn)) == len(drawn) == 2 * PAIRS
    assert set(drawn) <= known


def test_too_few_recordings_are_refused(tmp_path: Path) -> None:
    record(tmp_path, SAME.name, 1.0, 3, np.random.default_rng(0))
    with pytest.raises(UserError, match=f"3 recorded pairs of 'same'; at least {2 * PAIRS}"):
        rates.rates(tmp_path)
