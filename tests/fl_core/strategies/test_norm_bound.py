import pytest

from fl_core.strategies.norm_bound import norm_bound
from tests.fl_core.harness import numbers, person, play, small_run, three


def test_one_round_by_hand() -> None:
    # a moves by (3, 4, 0), of length 5; b by (-30, 0, 40), of length 50, scaled to (-3, 0, 4). The mean: (0, 2, 2). Examples do not count.
    people = [person("a", three(6, 8, 0)), person("b", three(-60, 0, 80), examples=1000)]
    assert numbers(play(small_run(norm_bound(bound=5), people, three(0, 0, 0)), people).weights) == pytest.approx([0, 2, 2], abs=1e-7)


def test_a_move_of_nothing_is_legal() -> None:
    people = [person("a", three(0, 0, 0))]
    assert numbers(play(small_run(norm_bound(), people, three(0, 0, 0)), people).weights) == [0, 0, 0]


def test_a_bound_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bound is 0; it is above 0"):
        norm_bound(bound=0)
