"""The decision on noisy figures: right at every small sample size, symmetric, and blind to scale."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from upbench.gate.decide import Rule, adjust_p_values, compute_rank_p_value, decide, weigh

RULE = Rule()
SIZES = list(itertools.product(range(1, 13), repeat=2))
figures = st.lists(st.floats(0.1, 10), min_size=1, max_size=8)


def verdict(base: list[float], head: list[float]) -> str:
    return decide({"only": weigh(base, head, RULE)}, RULE)["only"]


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_separated_samples_are_flagged_as_soon_as_the_exact_test_allows_it(n: int, m: int) -> None:
    base = [1 + 0.001 * i for i in range(n)]
    head = [2 + 0.001 * i for i in range(m)]
    allowed = 2 / math.comb(n + m, n) <= RULE.level
    assert (verdict(base, head) == "regressed") == allowed
    assert (verdict(head, base) == "improved") == allowed


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_a_difference_within_the_margin_is_never_flagged(n: int, m: int) -> None:
    base = [1 + 1e-6 * i for i in range(n)]
    head = [1.04 + 1e-6 * i for i in range(m)]
    assert verdict(base, head) == ("same" if min(n, m) > 1 else "ambiguous")


def test_a_wide_spread_is_ambiguous_not_same() -> None:
    assert verdict([1, 2, 3, 4, 5], [1.1, 2.1, 2.9, 4.2, 4.8]) == "ambiguous"


@given(base=figures, head=figures)
@settings(max_examples=50, deadline=None)
def test_swapping_the_sides_mirrors_the_verdict(base: list[float], head: list[float]) -> None:
    mirror = {"regressed": "improved", "improved": "regressed"}
    ours = weigh(base, head, RULE)
    theirs = weigh(head, base, RULE)
    assert ours.ratio == pytest.approx(1 / theirs.ratio)
    assert ours.p == pytest.approx(theirs.p)
    if ours.p <= RULE.level:  # elsewhere the two sides' bootstrap draws may differ
        assert decide({"x": theirs}, RULE)["x"] == mirror.get(decide({"x": ours}, RULE)["x"], "ambiguous")


@given(base=figures, head=figures, factor=st.floats(1e-6, 1e6))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(base: list[float], head: list[float], factor: float) -> None:
    ours = weigh(base, head, RULE)
    scaled = weigh([factor * x for x in base], [factor * x for x in head], RULE)
    assert scaled.ratio == pytest.approx(ours.ratio)
    assert (scaled.low, scaled.high) == pytest.approx((ours.low, ours.high))


@given(a=st.lists(st.integers(0, 5), min_size=1, max_size=5), b=st.lists(st.integers(0, 5), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_the_rank_test_is_exact_with_ties(a: list[int], b: list[int]) -> None:
    """Against every way to deal the figures to the two sides."""
    x = np.array(a + b, float)
    ranks = stats.rankdata(x)
    sums = [ranks[list(chosen)].sum() for chosen in itertools.combinations(range(len(x)), len(a))]
    ours = ranks[: len(a)].sum()
    lower, upper = (np.mean([value <= ours for value in sums]), np.mean([value >= ours for value in sums]))
    assert compute_rank_p_value(x[: len(a)], x[len(a) :]) == pytest.approx(min(1.0, 2 * min(lower, upper)))


def test_the_rank_test_is_scipys_without_ties() -> None:
    rng = np.random.default_rng(0)
    for n, m in ((3, 4), (10, 10), (12, 5), (40, 40)):
        a, b = rng.normal(size=n), rng.normal(0.5, size=m)
        method = "exact" if n + m <= 60 else "asymptotic"
        assert compute_rank_p_value(a, b) == pytest.approx(stats.mannwhitneyu(a, b, method=method).pvalue)


def test_one_clear_difference_survives_the_correction_over_a_grid() -> None:
    rng = np.random.default_rng(1)
    evidence = {str(i): weigh(rng.lognormal(0, 0.03, 10), rng.lognormal(0, 0.03, 10), RULE) for i in range(23)}
    evidence["slow"] = weigh(rng.lognormal(0, 0.03, 10), rng.lognormal(math.log(1.15), 0.03, 10), RULE)
    flagged = [name for name, verdict in decide(evidence, RULE).items() if verdict == "regressed"]
    assert flagged == ["slow"]


def test_adjusting_is_the_procedure_of_benjamini_and_hochberg() -> None:
    p = [0.001, 0.012, 0.02, 0.04, 0.9]
    assert adjust_p_values(p) == pytest.approx([0.005, 0.03, 0.02 * 5 / 3, 0.05, 0.9])


def test_nothing_to_compare_gives_no_verdict() -> None:
    assert decide({}, RULE) == {}


@pytest.mark.parametrize(("base", "head"), [([], [1.0]), ([1.0], []), ([1.0], [math.nan]), ([0.0], [1.0])])
def test_figures_that_cannot_be_compared_are_refused(base: list[float], head: list[float]) -> None:
    with pytest.raises(ValueError, match="figure"):
        weigh(base, head, RULE)
