import pytest

from fl_core.strategies.fed_avgm import fed_avgm
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3))]


def test_two_rounds_by_hand() -> None:
    # Round 1: mean move 0.5 * 2 = 1, velocity 1. Round 2: mean move 0.5 * (2 - 1) = 0.5, velocity 0.5 * 1 + 0.5 = 1.
    run = small_run(fed_avgm(momentum=0.5), PEOPLE, three(0, 0, 0))
    assert numbers(play(run, PEOPLE).weights) == [1, 0, -1]
    second = play(run, PEOPLE, round=2)
    assert (numbers(second.weights), numbers(second.memory)) == ([2, 0, -2], [1, 0, -1])


def test_buffers_have_no_momentum() -> None:
    run = small_run(fed_avgm(momentum=0.5), PEOPLE, three(0, 0, 0), trainable=["w"])
    play(run, PEOPLE)
    assert numbers(play(run, PEOPLE, round=2).weights) == [2, 0, -1.5]


def test_a_momentum_that_would_grow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"momentum is 1.0; it is at least 0 and below 1"):
        fed_avgm(momentum=1.0)
