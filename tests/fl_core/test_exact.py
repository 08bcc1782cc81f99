"""Exact sums: order and grouping never matter, the error is below float32's, and what cannot be summed is refused."""

from typing import Any

import numpy as np
import pytest

from fl_core import exact


def test_a_sum_is_the_same_in_any_order_and_grouping() -> None:
    random = np.random.default_rng(3)
    moves = [{"w": random.normal(size=70_001).astype(np.float32) * 10.0 ** random.integers(-6, 3)} for _ in range(9)]
    weights = random.random(9)
    whole = exact.empty_totals(moves[0])
    for move, weight in zip(moves, weights, strict=True):
        exact.add_move(whole, move, weight)

    parts = [exact.empty_totals(moves[0]) for _ in range(3)]
    for i in random.permutation(9):
        exact.add_move(parts[i % 3], moves[i], weights[i])
    grouped = exact.empty_totals(moves[0])
    for part in reversed(parts):
        exact.add_totals(grouped, part)

    assert np.array_equal(whole["w"], grouped["w"])


def test_float32_addition_would_not_be_the_same_in_any_order() -> None:
    values = np.array([1e8, 1.0, -1e8], np.float32)
    assert (values[0] + values[1]) + values[2] != (values[0] + values[2]) + values[1]


def test_the_error_of_a_mean_is_at_most_half_a_unit() -> None:
    random = np.random.default_rng(4)
    moves = [random.normal(size=1000).astype(np.float32) for _ in range(20)]
    totals = exact.empty_totals({"w": moves[0]})
    for move in moves:
        exact.add_move(totals, {"w": move}, 1.0)
    mean = totals["w"].astype(np.float64) / (20 * exact.whole(1.0))
    true = np.mean([move.astype(np.float64) for move in moves], axis=0)
    assert np.max(np.abs(mean - true)) <= exact.UNIT / 2


@pytest.mark.parametrize(
    ("value", "weight", "reason"),
    [
        (np.nan, 1.0, "'w' holds NaN or Inf"),
        (np.inf, 1.0, "'w' holds NaN or Inf"),
        (2.0**21, 1.0, "'w' moved by 2.1e+06, more than the sums hold"),
        (1.0, np.nan, "its weight is nan"),
        (1.0, -1.0, "its weight is -1.0"),
        (2.0**20, 1.0, None),
        (-(2.0**21), 1.0, "'w' moved by 2.1e+06, more than the sums hold"),
        (-np.inf, 1.0, "'w' holds NaN or Inf"),
        (1e30, 1.0, "'w' moved by 1e+30, more than the sums hold"),
    ],
)
def test_what_cannot_be_summed_is_refused(value: float, weight: float, reason: str | None) -> None:
    assert exact.why_not_summable({"w": np.array([0, value], np.float32)}, weight) == reason


def test_weights_of_a_round_become_at_most_one_and_their_sum_fits() -> None:
    assert 600 * exact.weight_unit(600, 10) == 600 / 1024
    unit = exact.weight_unit(1, 10_000)
    assert 10_000 * unit * exact.LIMIT / exact.UNIT < 2**63


def test_what_clients_send_at_their_limit_is_in_range_and_no_more() -> None:
    most = np.nextafter(np.float32(exact.LIMIT), np.float32(0))
    move = {"w": np.array([most, -most], np.float32), "none": np.zeros(0, np.float32)}
    for weight in (1.0, 0.3, 2.0**-20):
        totals = exact.empty_totals(move)
        for _ in range(3):
            exact.add_move(totals, move, weight)
        weights = [exact.whole(weight)] * 3
        assert exact.why_too_large(totals, weights) is None
        assert exact.why_too_large(totals, weights[:2]) == "its sum of 'w' is larger than its clients can have made it"


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_a_sum_that_would_wrap_is_out_of_range(value: int) -> None:
    assert exact.why_too_large({"w": np.array([0, value])}, [2**30, 2**30])
    assert not exact.why_too_large({"w": np.array([2**31 - 1], np.int32)}, [2**30])


def test_scalars_and_empty_tensors_are_summed() -> None:
    move = {"scalar": np.array(0.5, np.float32), "none": np.zeros((0, 3), np.float32)}
    totals = exact.empty_totals(move)
    exact.add_move(totals, move, 0.5)
    assert int(totals["scalar"]) == exact.whole(0.25)
    assert totals["none"].shape == (0, 3)


@pytest.mark.parametrize(
    ("total", "dtype"), [([2**31 - 1, -(2**31)], np.int32), ([2**31, 0], np.int64), ([0, -(2**31) - 1], np.int64), ([2**32, 0], np.int64), ([], np.int32)]
)
def test_sums_are_sent_in_half_the_bytes_where_they_fit_and_stay_the_same_numbers(total: list[int], dtype: type[np.signedinteger[Any]]) -> None:
    whole = {"w": np.array(total, np.int64)}
    narrow = exact.narrow(whole)
    assert narrow["w"].dtype == dtype
    assert narrow["w"].tolist() == total
    exact.add_totals(whole, narrow)
    assert whole["w"].tolist() == [2 * value for value in total]
