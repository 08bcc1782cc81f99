import pytest

from fl_core.strategies.fed_avg import fed_avg
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, -1), examples=1), person("b", three(3, 0, -3), examples=3)]


def test_one_round_by_hand() -> None:
    # Moves 0.5 and 1.5; b has three times the examples: (1 * 0.5 + 3 * 1.5) / 4 = 1.25
    assert numbers(play(small_run(fed_avg(), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [1.25, 0, -1.25]


def test_clients_may_weigh_equally_and_the_server_may_take_a_longer_step() -> None:
    run = small_run(fed_avg(weigh="equally", server_learning_rate=2.0), PEOPLE, three(0, 0, 0))
    assert numbers(play(run, PEOPLE).weights) == [2, 0, -2]


def test_local_epochs_are_honoured_in_full() -> None:
    # a: 0.5, 0.75. b: 1.5, 2.25. (1 * 0.75 + 3 * 2.25) / 4 = 1.875
    assert numbers(play(small_run(fed_avg(local_epochs=2), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [1.875, 0, -1.875]


def test_steps_win_over_epochs() -> None:
    run = small_run(fed_avg(local_epochs=7, local_steps=2), PEOPLE, three(0, 0, 0))
    assert numbers(play(run, PEOPLE).weights) == [1.875, 0, -1.875]


@pytest.mark.parametrize("option", ["local_epochs", "local_steps", "batch_size"])
def test_no_work_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} is 0; it is at least 1"):
        fed_avg(**{option: 0})  # type: ignore[arg-type]


def test_a_round_for_which_nobody_is_left_keeps_the_weights() -> None:
    state = play(small_run(fed_avg(), PEOPLE, three(1, 2, 3)), PEOPLE, leave_out={"a": "ill", "b": "ill"})
    assert (state.round, numbers(state.weights)) == (2, [1, 2, 3])
