import pytest

from fl_core.strategies.ditto import ditto
from fl_core.worker import read_memory
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3))]


def test_two_rounds_by_hand() -> None:
    # Round 1: the shared weights become 1, the personal ones 0.5 and 1.5. Round 2: shared 1 + (0 + 1) / 2 = 1.5.
    # a's own: gradient (0.5 - 1) + (0.5 - 1) = -1, to 1. b's own: gradient (1.5 - 3) + (1.5 - 1) = -1, to 2.
    run = small_run(ditto(pull=1.0), PEOPLE, three(0, 0, 0))
    play(run, PEOPLE)
    assert [numbers(read_memory(run, name, 2), "strategy.w")[0] for name in "ab"] == [0.5, 1.5]
    assert numbers(play(run, PEOPLE, round=2).weights) == [1.5, 0, -1.5]
    assert [numbers(read_memory(run, name, 3), "strategy.w", "strategy.b") for name in "ab"] == [[1, 0, -1], [2, 0, -2]]


def test_figures_of_both_models_are_told_apart() -> None:
    run = small_run(ditto(pull=1.0), PEOPLE, three(0, 0, 0))
    play(run, PEOPLE)
    play(run, PEOPLE, round=2)
    figures = run.record("rounds/0002/close.json")["clients"]["b"]  # shared: (1 - 3)**2; its own: (1.5 - 3)**2
    assert (figures["loss"], figures["personal_loss"], figures["seen"]) == (4, 2.25, 1)


def test_a_negative_pull_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pull is -1; it is at least 0"):
        ditto(pull=-1)
