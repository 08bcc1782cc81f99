import math
from dataclasses import replace

import pytest

from fl_core.strategies.q_fed_avg import q_fed_avg
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(2, 0, 0)), person("b", three(4, 0, 0))]


def test_one_round_by_hand() -> None:
    # a: loss 2, move 1, step 2 + 1 / 0.5 = 4. b: loss 8, move 2, step 8 + 4 / 0.5 = 16. (2 * 1 + 8 * 2) / (4 + 16) = 0.9
    run = small_run(q_fed_avg(q=1), PEOPLE, three(0, 0, 0))
    assert numbers(play(run, PEOPLE).weights) == pytest.approx([0.9, 0, 0], abs=1e-7)
    assert run.record("rounds/0001/close.json")["clients"]["b"]["start_loss"] == 8


def test_a_large_q_leaves_nobody_out_and_listens_to_the_largest_loss() -> None:
    # a counts (2 / 8)**20, as good as nothing. b: 2 / (1 + 20 * (4 / 0.5) / 8) = 2 / 21
    run = small_run(q_fed_avg(q=20), PEOPLE, three(0, 0, 0))
    assert numbers(play(run, PEOPLE).weights) == pytest.approx([2 / 21, 0, 0])
    assert run.record("rounds/0001/close.json")["left_out"] == []


@pytest.mark.parametrize("q", [1, 5, 20, 1000])
@pytest.mark.parametrize("scale", [2.0**-10, 2.0**10])
def test_losses_of_another_size_end_in_the_same_bits(q: float, scale: float) -> None:
    # Losses and squared moves become scale**2 times as large, which leaves the ratio of the sums as it is; so the weights are scaled and no more.
    others = [person("a", three(2 * scale, 0, 0)), person("b", three(4 * scale, 0, 0))]
    found, wanted = (numbers(play(small_run(q_fed_avg(q=q), people, three(0, 0, 0)), people).weights) for people in (others, PEOPLE))
    assert found == [scale * number for number in wanted]


def test_clients_who_have_nothing_to_learn_leave_the_model_as_it_is() -> None:
    people = [person("a", three(1, 2, 3)), person("b", three(1, 2, 3))]
    assert numbers(play(small_run(q_fed_avg(q=20), people, three(1, 2, 3)), people).weights) == [1, 2, 3]


def test_q_of_zero_counts_clients_equally() -> None:
    assert numbers(play(small_run(q_fed_avg(q=0), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [1.5, 0, 0]


def test_a_client_whose_loss_is_no_number_is_left_out() -> None:
    people = [PEOPLE[0], replace(PEOPLE[1], loss=lambda weights: math.nan)]
    run = small_run(q_fed_avg(), people, three(0, 0, 0))
    play(run, people)
    (left_out,) = run.record("rounds/0001/close.json")["left_out"]
    assert left_out["reason"] == "raised ValueError: the loss at the start is nan; q_fed_avg raises it to a power, so it is at least 0"


def test_a_negative_power_is_refused() -> None:
    with pytest.raises(ValueError, match=r"q is -1; it is at least 0"):
        q_fed_avg(q=-1)
