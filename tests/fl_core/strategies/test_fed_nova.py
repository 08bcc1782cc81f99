import pytest

from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategies.fed_nova import effective_steps, fed_nova
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(8, 0, -8), steps=1), person("b", three(8, 0, -8), steps=2)]


def test_one_round_by_hand() -> None:
    # a moves by 4 in 1 step, b by 4 + 2 in 2, which is 3 a step. 1.5 steps in the mean * (4 + 3) / 2 a step = 5.25. FedAvg: (4 + 6) / 2 = 5.
    assert numbers(play(small_run(fed_nova(), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [5.25, 0, -5.25]
    assert numbers(play(small_run(fed_avg(), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [5, 0, -5]


def test_buffers_are_averaged() -> None:
    assert numbers(play(small_run(fed_nova(), PEOPLE, three(0, 0, 0), trainable=["w"]), PEOPLE).weights) == [5.25, 0, -5]


def test_momentum_counts_a_step_by_what_its_gradient_adds_up_to() -> None:
    # The first of two gradients is applied whole and then once more by a half: 1.5 + 1.
    assert effective_steps(2, 0.5) == 2.5
    assert effective_steps(3, 0.0) == 3


def test_a_momentum_that_would_grow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"local_momentum is 1; it is at least 0 and below 1"):
        fed_nova(local_momentum=1)
