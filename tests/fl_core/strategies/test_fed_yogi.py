import pytest

from fl_core.strategies.fed_yogi import fed_yogi
from tests.fl_core.harness import numbers, person, play, small_run, three


def test_one_round_by_hand() -> None:
    # The move is 4. First moment 0.5 * 4 = 2; second 1 - 0.5 * 16 * sign(1 - 16) = 9; 4 * 2 / (3 + 1) = 2. A move of 0 leaves its second moment at 1.
    people = [person("a", three(8, 0, -8))]
    state = play(small_run(fed_yogi(server_learning_rate=4, beta_1=0.5, beta_2=0.5, tau=1), people, three(0, 0, 0)), people)
    assert numbers(state.weights) == [2, 0, -2]
    assert numbers(state.memory, "second/w", "second/b") == [9, 1, 9]


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"beta_2 is 1.5; it is at least 0 and below 1"):
        fed_yogi(beta_2=1.5)
