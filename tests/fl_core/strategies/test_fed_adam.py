import pytest

from fl_core.strategies.fed_adam import fed_adam
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(14, 0, -14))]


def test_one_round_by_hand() -> None:
    # The move is 7. First moment 0.5 * 7 = 3.5; second 0.5 * 1 + 0.5 * 49 = 25; 12 * 3.5 / (5 + 1) = 7.
    state = play(small_run(fed_adam(server_learning_rate=12, beta_1=0.5, beta_2=0.5, tau=1), PEOPLE, three(0, 0, 0)), PEOPLE)
    assert numbers(state.weights) == [7, 0, -7]
    assert numbers(state.memory, "first/w", "first/b", "second/w", "second/b") == [3.5, 0, -3.5, 25, 0.5, 25]


def test_buffers_are_averaged() -> None:
    strategy = fed_adam(server_learning_rate=12, beta_1=0.5, beta_2=0.5, tau=1)
    state = play(small_run(strategy, PEOPLE, three(0, 0, 4), trainable=["w"]), PEOPLE)
    assert numbers(state.weights) == [7, 0, -5]
    assert set(state.memory) == {"first/w", "second/w"}


@pytest.mark.parametrize("option", ["beta_1", "beta_2"])
def test_a_share_of_one_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=rf"{option} is 1; it is at least 0 and below 1"):
        fed_adam(**{option: 1})  # type: ignore[arg-type]
