import pytest

from fl_core.strategies.local_fine_tuning import local_fine_tuning
from fl_core.worker import read_memory
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3))]


def test_two_rounds_by_hand() -> None:
    # The shared weights go the way of FedAvg: 1, 1.5. Tuning begins in round 2, from 1, for two steps: a stays at 1, b goes to 2 and 2.5.
    run = small_run(local_fine_tuning(fine_tune_epochs=2, from_round=2), PEOPLE, three(0, 0, 0))
    assert numbers(play(run, PEOPLE).weights) == [1, 0, -1]
    assert read_memory(run, "a", 2) == {}
    assert numbers(play(run, PEOPLE, round=2).weights) == [1.5, 0, -1.5]
    assert [numbers(read_memory(run, name, 3), "strategy.w", "strategy.b") for name in "ab"] == [[1, 0, -1], [2.5, 0, -2.5]]
    assert set(run.record("rounds/0002/close.json")["clients"]["a"]) == {"loss", "seen", "tuned_loss"}


def test_a_round_before_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from_round is 0; it is at least 1"):
        local_fine_tuning(from_round=0)
