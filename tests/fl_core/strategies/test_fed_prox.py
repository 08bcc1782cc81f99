import pytest

from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategies.fed_prox import fed_prox
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, -1), examples=1, steps=2), person("b", three(3, 0, -3), examples=3, steps=2)]


def test_one_round_by_hand() -> None:
    # a: 0 -> 0.5; there the gradient -0.5 and the pull 1 * 0.5 cancel. b: 0 -> 1.5, where they cancel too. (1 * 0.5 + 3 * 1.5) / 4 = 1.25
    state = play(small_run(fed_prox(mu=1.0), PEOPLE, three(0, 0, 0)), PEOPLE)
    assert numbers(state.weights) == [1.25, 0, -1.25]


def test_without_a_pull_it_is_fed_avg() -> None:
    # a: 0 -> 0.5 -> 0.75. b: 0 -> 1.5 -> 2.25. (1 * 0.75 + 3 * 2.25) / 4 = 1.875
    prox = play(small_run(fed_prox(mu=0.0), PEOPLE, three(0, 0, 0)), PEOPLE)
    average = play(small_run(fed_avg(), PEOPLE, three(0, 0, 0)), PEOPLE)
    assert numbers(prox.weights) == numbers(average.weights) == [1.875, 0, -1.875]


def test_a_negative_pull_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mu is -1.0; it is at least 0"):
        fed_prox(mu=-1.0)
