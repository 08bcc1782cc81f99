import pytest

from fl_core.strategies.fed_dyn import fed_dyn
from fl_core.worker import read_memory
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3))]


def test_two_rounds_by_hand() -> None:
    # Round 1: moves 0.5 and 1.5, g -0.5 and -1.5, h = -1, weights 0 + 1 + 1 = 2.
    # Round 2. a: gradient 1 + 0.5, moves by -0.75, g = 0.25; b: gradient -1 + 1.5, moves by -0.25, g = -1.25. h = -1 + 0.5; weights 2 - 0.5 + 0.5 = 2.
    run = small_run(fed_dyn(alpha=1.0), PEOPLE, three(0, 0, 0))
    first = play(run, PEOPLE)
    assert (numbers(first.weights), numbers(first.memory)) == ([2, 0, -2], [-1, 0, 1])
    second = play(run, PEOPLE, round=2)
    assert (numbers(second.weights), numbers(second.memory)) == ([2, 0, -2], [-0.5, 0, 0.5])
    assert [numbers(read_memory(run, name, 3), "strategy.w")[0] for name in "ab"] == [0.25, -1.25]


def test_only_the_share_that_took_part_drifts() -> None:
    # b is left out: mean move 0.5, h = -1 * 1 / 2 * 0.5 = -0.25, weights 0.5 + 0.25.
    state = play(small_run(fed_dyn(alpha=1.0), PEOPLE, three(0, 0, 0)), PEOPLE, leave_out={"b": "ill"})
    assert (numbers(state.weights), numbers(state.memory)) == ([0.75, 0, -0.75], [-0.25, 0, 0.25])


def test_buffers_are_averaged() -> None:
    people = [person("a", {"w": three(1, 0, 0)["w"]}), person("b", {"w": three(3, 0, 0)["w"]})]
    state = play(small_run(fed_dyn(alpha=1.0), people, three(0, 0, 7), trainable=["w"]), people)
    assert (numbers(state.weights), set(state.memory)) == ([2, 0, 7], {"w"})


def test_no_regularisation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"alpha is 0; it is above 0"):
        fed_dyn(alpha=0)
