import numpy as np
import pytest

from fl_core.errors import InputError, QuorumError
from fl_core.scheduler import plan
from fl_core.strategies.trimmed_mean import trimmed_mean
from fl_core.types import ModelUpdate, RoundState
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person(name, three(target, -target, 0)) for name, target in zip("abcd", (2, 4, 6, 2000), strict=True)]


def test_one_round_by_hand() -> None:
    # Moves 1, 2, 3, 1000; a quarter of four clients is one at each end: (2 + 3) / 2.
    assert numbers(play(small_run(trimmed_mean(trim=0.25), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [2.5, -2.5, 0]


def test_a_round_with_too_few_clients_to_trim_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"^Round 1 draws 4 clients, but the strategy '.*' needs 5 a round; draw more, or change its options\.$"):
        plan(small_run(trimmed_mean(trim=0.2), PEOPLE, three(0, 0, 0)), 1)
    with pytest.raises(InputError, match=r"needs 10 a round"):
        plan(small_run(trimmed_mean(), PEOPLE, three(0, 0, 0)), 1)


def test_a_round_that_comes_down_to_too_few_is_below_its_quorum() -> None:
    with pytest.raises(QuorumError, match=r"^Round 1 has 3 of 4 clients, below the quorum of 4; missing are d \(worker-0\): ill\.$"):
        play(small_run(trimmed_mean(trim=0.25), PEOPLE, three(0, 0, 0)), PEOPLE, leave_out={"d": "ill"})


@pytest.mark.parametrize(("trim", "count", "dropped"), [(0.29, 100, 29), (0.07, 100, 7), (0.1, 30, 3), (1e-1, 19, 1), (0.0, 3, 0), (1 / 3, 4, 1)])
def test_the_share_is_counted_as_it_is_written(trim: float, count: int, dropped: int) -> None:
    # One client more than are dropped at an end moves, by 1, so that one who moves is left among count - 2 * dropped.
    names = [f"{place:03d}" for place in range(count)]
    moves = {name: {"w": np.array([1.0 if place <= dropped else 0.0])} for place, name in enumerate(names)}
    state = trimmed_mean(trim=trim).apply(RoundState(1, {"w": np.zeros(1)}), ModelUpdate("list", tuple(names), moves=moves))
    assert state.weights["w"] == pytest.approx(1 / (count - 2 * dropped))


def test_trimming_nobody_is_the_mean() -> None:
    assert numbers(play(small_run(trimmed_mean(trim=0), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [251.5, -251.5, 0]


def test_trimming_everybody_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trim is 0.5; it is at least 0 and below 0.5"):
        trimmed_mean(trim=0.5)
