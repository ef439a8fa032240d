"""Intervals and comparisons against scipy, and against what they promise on simulated results."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from upbench.report.multiplicity import holm, most_equal_pairs, possible_equal_pairs, shaffer
from upbench.report.statistics import (
    compare_rows,
    detectable,
    estimate,
    estimate_difference,
    f_test_p,
    omnibus_p,
    pair_rows,
    paired_p,
)
from upbench.studies import statistics_rates

FLOATS = st.integers(-(10**6), 10**6).map(lambda value: value / 1000)
LOST = st.one_of(FLOATS, st.just(math.nan))


def blocks(values: st.SearchStrategy[float] = FLOATS, rows: int = 5) -> st.SearchStrategy[np.ndarray]:
    return st.tuples(st.integers(2, 6), st.integers(2, rows)).flatmap(
        lambda shape: arrays(float, shape, elements=values)
    )


def beyond_chance(count: int, share: float, trials: int) -> bool:
    """Whether `count` of `trials` shows, at one in a thousand, that the true share is above `share`."""
    return stats.binom.sf(count - 1, trials, share) < 1e-3


@given(st.lists(FLOATS, min_size=2, max_size=12))
def test_the_interval_is_students(values: list[float]) -> None:
    found = estimate(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    if np.ptp(values) == 0:
        assert found.half_width == 0
    else:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert found.half_width == pytest.approx((high - low) / 2, rel=1e-6)


def test_too_few_replicates_have_no_interval() -> None:
    assert math.isnan(estimate([]).mean)
    assert math.isnan(estimate([1.0]).half_width)


def test_a_difference_is_taken_over_the_seeds_that_both_have() -> None:
    ours, theirs = np.array([1.0, 2.0, math.nan, 4.0]), np.array([0.5, math.nan, 7.0, 3.0])
    assert estimate_difference(ours, theirs) == estimate([0.5, 1.0])


@pytest.mark.parametrize("noise", ["normal", "heavy tails (t, 3 degrees)", "skewed (lognormal), both layers"])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_of_a_difference_covers_the_known_effect(noise: str, n: int) -> None:
    """Differences of like layers are symmetric: of 1,000 trials 93 to 97 % cover it, or more where tails are heavy."""
    rng = np.random.default_rng(n)
    ours, theirs = statistics_rates.NOISES[noise]
    common = 5 * rng.standard_normal((1000, n))
    pairs_of_runs = zip(common + 1 + ours(rng, (1000, n)), common + theirs(rng, (1000, n)), strict=True)
    found = [estimate_difference(a, b) for a, b in pairs_of_runs]
    inside = np.mean([abs(difference.mean - 1) <= difference.half_width for difference in found])
    assert 0.93 <= inside <= (0.97 if noise == "normal" else 0.995)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=8))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    ordered = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    for place, (_, index) in enumerate(ordered):
        steps = [min(1.0, (len(ordered) - i) * ordered[i][0]) for i in range(place + 1)]
        assert adjusted[index] == pytest.approx(max(steps))
    assert [math.isnan(p) for p in adjusted] == [math.isnan(p) for p in p_values]


@given(blocks(LOST))
def test_each_pair_is_a_paired_t_test_over_common_seeds(block: np.ndarray) -> None:
    p_values, found = paired_p(block), pair_rows(block)
    for i, j in itertools.permutations(range(block.shape[1]), 2):
        difference = block[:, i] - block[:, j]
        difference = difference[np.isfinite(difference)]
        assert found.count[i, j] == len(difference)
        if len(difference) < 2 or not difference.any():
            assert p_values[i, j] == 1
        elif np.ptp(difference) > 1e-6:
            expected = stats.ttest_1samp(difference, 0.0).pvalue
            assert p_values[i, j] == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_difference_without_any_noise_is_certain() -> None:
    assert paired_p(np.array([[1.0, 3.0], [2.0, 4.0]]))[0, 1] == 0
    assert omnibus_p(np.array([[1.0, 3.0], [2.0, 4.0]])) == 0
    assert compare_rows([np.array([[1.0, 3.0], [2.0, 4.0]])])[0][0, 1] == 0


def test_a_noisy_layer_does_not_hide_a_difference_between_two_quiet_ones() -> None:
    rng = np.random.default_rng(0)
    block = rng.normal([0, 1, 0.5], [0.01, 0.01, 100], (5, 3))
    assert f_test_p(block) > 0.05
    assert compare_rows([block])[0][0, 1] < 0.001


@given(arrays(float, (5, 2), elements=LOST))
def test_with_two_rows_the_omnibus_test_is_the_paired_t_test(block: np.ndarray) -> None:
    difference = (block[:, 0] - block[:, 1])[np.isfinite(block).all(1)]
    if len(difference) < 2:
        assert math.isnan(omnibus_p(block))
    elif np.ptp(difference) > 1e-6 and abs(difference.mean()) > 1e-9:
        assert omnibus_p(block) == pytest.approx(paired_p(block)[0, 1], rel=1e-4, abs=1e-12)


def test_the_f_test_is_the_two_way_analysis_of_variance() -> None:
    """Written out by sums of squares; adding to a seed what all its rows share changes nothing."""
    rng = np.random.default_rng(0)
    block = rng.standard_normal((5, 4))
    rows = 5 * np.var(block.mean(0)) * 4
    rest = ((block - block.mean(0) - block.mean(1, keepdims=True) + block.mean()) ** 2).sum()
    expected = stats.f.sf((rows / 3) / (rest / 12), 3, 12)
    assert f_test_p(block) == pytest.approx(expected)
    assert f_test_p(block + 100 * rng.standard_normal((5, 1))) == pytest.approx(expected)


def test_the_counts_of_equal_pairs_are_those_of_all_partitions() -> None:
    for rows in range(2, 7):
        labellings = itertools.product(range(rows), repeat=rows)
        counts = {sum(a == b for a, b in itertools.combinations(labels, 2)) for labels in labellings}
        assert possible_equal_pairs(rows) == tuple(sorted(counts))
    assert [most_equal_pairs(rows) for rows in (2, 3, 4, 9)] == [1, 1, 3, 28]


@given(st.integers(2, 5).flatmap(lambda rows: arrays(float, (rows, rows), elements=st.floats(0, 1))))
def test_shaffer_is_its_definition(p_values: np.ndarray) -> None:
    p_values = np.minimum(p_values, p_values.T)
    rows = len(p_values)
    ordered = sorted(itertools.combinations(range(rows), 2), key=lambda pair: p_values[pair])
    adjusted, highest = shaffer(p_values), 0.0
    for rejected, pair in enumerate(ordered):
        still = [n for n in possible_equal_pairs(rows) if n <= min(len(ordered) - rejected, most_equal_pairs(rows))]
        highest = max(highest, min(1.0, max(still) * p_values[pair]))
        assert adjusted[pair] == adjusted[pair[::-1]] == pytest.approx(highest)


@given(blocks(LOST, rows=4))
def test_comparisons_are_symmetric_and_never_surer_than_the_plain_test(block: np.ndarray) -> None:
    (adjusted,) = compare_rows([block])
    assert np.array_equal(adjusted, adjusted.T)
    assert (adjusted >= paired_p(block) - 1e-12).all() or block.shape[1] <= 3
    assert ((adjusted >= 0) & (adjusted <= 1)).all()


@given(blocks(), st.randoms())
def test_the_order_of_rows_and_seeds_does_not_matter(block: np.ndarray, random) -> None:
    rows, seeds = list(range(block.shape[1])), list(range(block.shape[0]))
    random.shuffle(rows)
    random.shuffle(seeds)
    (adjusted,), (shuffled,) = compare_rows([block]), compare_rows([block[seeds][:, rows]])
    assert shuffled == pytest.approx(adjusted[np.ix_(rows, rows)], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("rows", "seeds", "trials"), [(4, 3, 1000), (4, 5, 1000), (9, 5, 500), (12, 10, 300)])
def test_identical_layers_are_called_different_in_at_most_5_percent_of_blocks(
    rows: int, seeds: int, trials: int
) -> None:
    rng = np.random.default_rng(rows + seeds)
    wrong = 0
    for _ in range(trials):
        (adjusted,) = compare_rows([statistics_rates.draw_block(seeds, np.zeros(rows), np.ones(rows), rng)])
        wrong += (adjusted < 0.05).any()
    assert not beyond_chance(wrong, 0.05, trials)


@pytest.mark.parametrize("different", [0, 4])
def test_identical_layers_are_called_different_in_at_most_5_percent_of_whole_grids(different: int) -> None:
    """Four layers, five seeds, eight columns; in some of them one layer is truly far better."""
    rng = np.random.default_rng(different)
    together, alone = statistics_rates.grids_with_false_calls(4, 5, 8, different, 300, rng)
    assert not beyond_chance(round(together * 300), 0.05, 300)
    assert alone > together


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "seeds"), statistics_rates.SIZES)
def test_identical_layers_are_seldom_called_different_whatever_the_noise(rows: int, seeds: int) -> None:
    rng = np.random.default_rng(0)
    for noise in (statistics_rates._normal, statistics_rates._heavy, statistics_rates._skewed):
        rate = statistics_rates.false_rate("this suite", rows, seeds, "equal noise", noise, 2000, rng)
        assert not beyond_chance(round(rate * 2000), 0.05, 2000)


def test_equal_layers_beside_a_better_one_are_told_apart_in_at_most_5_percent() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(1000):
        (adjusted,) = compare_rows([statistics_rates.draw_block(5, np.array([30.0, 0, 0, 0]), np.ones(4), rng)])
        wrong += (adjusted[1:, 1:] < 0.05).any()
    assert not beyond_chance(wrong, 0.05, 1000)


@pytest.mark.parametrize(("rows", "seeds", "columns"), [(2, 5, 1), (2, 5, 8), (4, 3, 1), (4, 5, 1), (4, 5, 8)])
def test_what_is_said_to_be_detectable_is_detected_four_times_in_five(rows: int, seeds: int, columns: int) -> None:
    _, found = statistics_rates.power_where_detectable(
        rows, seeds, columns, 800 // columns + 200, np.random.default_rng(0)
    )
    assert 0.74 <= found <= 0.86


def test_more_seeds_detect_less_and_nothing_is_detected_by_one() -> None:
    rng = np.random.default_rng(0)
    block = rng.standard_normal((12, 4))
    found = [detectable(np.tile(block[:4], (times, 1))) for times in (1, 2, 3)]
    assert found == sorted(found, reverse=True)
    assert math.isnan(detectable(block[:1]))
    assert detectable(10 * block) == pytest.approx(10 * detectable(block))


def test_a_row_that_lost_its_replicates_costs_the_others_nothing() -> None:
    rng = np.random.default_rng(2)
    block = np.column_stack([rng.normal(10, 0.1, 5), rng.normal(5, 0.1, 5), rng.normal(5, 0.1, 5)])
    lost = np.column_stack([block, np.full(5, math.nan)])
    lost[0, 3] = 7.0
    (with_it,), (without,) = compare_rows([lost]), compare_rows([block])
    assert with_it[:3, :3] == pytest.approx(without)
    assert with_it[3, :3].tolist() == [1, 1, 1]


def test_a_single_run_decides_nothing_and_does_not_count() -> None:
    rng = np.random.default_rng(2)
    block = rng.normal([10, 5], 0.1, (5, 2))
    single, alone = compare_rows([block[:1], block]), compare_rows([block])
    assert single[0].tolist() == [[1, 1], [1, 1]]
    assert single[1] == pytest.approx(alone[0])
    assert alone[0][0, 1] < 1e-6
    assert compare_rows([]) == []
