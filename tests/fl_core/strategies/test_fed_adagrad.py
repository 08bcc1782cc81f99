import pytest

from fl_core.strategies.fed_adagrad import fed_adagrad
from tests.fl_core.harness import numbers, person, play, small_run, three


def test_one_round_by_hand() -> None:
    # The move is 4. Second moment 3 * 3 + 4 * 4 = 25; 2 * 4 / (5 + 3) = 1.
    people = [person("a", three(8, 0, -8))]
    state = play(small_run(fed_adagrad(server_learning_rate=2, tau=3), people, three(0, 0, 0)), people)
    assert numbers(state.weights) == [1, 0, -1]
    assert numbers(state.memory, "second/w") == [25, 9]


def test_a_floor_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tau is 0; it is above 0"):
        fed_adagrad(tau=0)
