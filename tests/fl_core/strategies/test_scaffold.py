from dataclasses import replace

import numpy as np
import pytest

from fl_core.strategies.scaffold import scaffold
from fl_core.worker import read_memory
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, -1), examples=5), person("b", three(3, 0, -3), examples=7)]


def test_two_rounds_by_hand() -> None:
    # Round 1, all variates 0. a moves by 0.5, c_a = -0.5 / 0.5 = -1; b moves by 1.5, c_b = -3. Weights 1, c = (-1 - 3) / 2 = -2.
    # Round 2. a: gradient 0 + (c - c_a = -1), moves by 0.5, c_a = -1 + 2 - 0.5 / 0.5 = 0. b: gradient -2 + 1, moves by 0.5, c_b = -3 + 2 - 1 = -2.
    run = small_run(scaffold(), PEOPLE, three(0, 0, 0))
    first = play(run, PEOPLE)
    assert (numbers(first.weights), numbers(first.memory)) == ([1, 0, -1], [-2, 0, 2])
    second = play(run, PEOPLE, round=2)
    assert (numbers(second.weights), numbers(second.memory)) == ([1.5, 0, -1.5], [-1, 0, 1])
    assert read_memory(run, "a", 3)["strategy.w"].tolist() == [[0, 0]]
    assert read_memory(run, "b", 3)["strategy.w"].tolist() == [[-2, 0]]


def test_the_servers_variate_moves_by_the_share_of_clients_that_took_part() -> None:
    # The same first round, but a and b are two of four: c = 2 / 4 * (-1 - 3) / 2 = -1.
    four = [*PEOPLE, person("c", three(9, 9, 9)), person("d", three(9, 9, 9))]
    state = play(small_run(scaffold(), four, three(0, 0, 0)), four, leave_out={"c": "ill", "d": "ill"})
    assert (numbers(state.weights), numbers(state.memory)) == ([1, 0, -1], [-1, 0, 1])


def test_buffers_are_averaged_and_have_no_variate() -> None:
    people = [replace(one, fit=one.fit, trainable=frozenset("w")) for one in PEOPLE]
    state = play(small_run(scaffold(), people, three(0, 0, 0), trainable=["w"]), people)
    assert numbers(state.weights) == [1, 0, -1]
    assert set(state.memory) == {"w"}


def test_a_client_without_a_learning_rate_is_left_out() -> None:
    people = [PEOPLE[0], replace(PEOPLE[1], learning_rate=0.0)]
    run = small_run(scaffold(), people, three(0, 0, 0))
    play(run, people)
    (left_out,) = run.record("rounds/0001/close.json")["left_out"]
    assert left_out == {"client": "b", "worker": "worker-0", "reason": "raised ValueError: the local learning rate is 0.0; scaffold divides by it"}


def test_a_server_that_would_not_move_is_refused() -> None:
    with pytest.raises(ValueError, match=r"server_learning_rate is 0.0; it is above 0"):
        scaffold(server_learning_rate=0.0)


def test_equal_weights_keep_their_precision_beside_large_clients() -> None:
    people = [person("a", {"w": np.array([1e-3], np.float32)}, examples=1), person("b", {"w": np.array([1e-3], np.float32)}, examples=500_000)]
    state = play(small_run(scaffold(), people, {"w": np.array([0], np.float32)}), people)
    assert abs(float(state.weights["w"][0]) - 5e-4) < 1e-9
