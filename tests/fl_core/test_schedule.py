import doctest

import pytest

import fl_core.schedule
from fl_core.errors import InputError
from fl_core.schedule import SCHEDULES, load_schedule
from fl_core.section import Optimizer

OPTIONS = {"step": {"every_rounds": 3}, "warmup": {"over_rounds": 3}}


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_round_of_any_schedule_stands_still_or_overshoots(name: str) -> None:
    factors = [load_schedule(name, OPTIONS.get(name, {}))(round, 10) for round in range(1, 11)]
    assert all(0 < factor <= 1 for factor in factors)
    assert len(set(factors)) > 1


def test_the_docstrings_speak_true() -> None:
    assert doctest.testmod(fl_core.schedule).failed == 0


def test_an_optimizer_without_a_schedule_keeps_its_rate() -> None:
    assert Optimizer(name="SGD").rate_factor(7, 10) == 1
    assert Optimizer(name="SGD", schedule={"name": "exponential", "gamma": 0.5}).rate_factor(3, 10) == 0.25  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ("cosin", "optimizer.schedule is 'cosin', which is not known; did you mean 'cosine'?"),
        ("step", "optimizer.schedule.every_rounds is missing; 'step' needs it."),
        ({"name": "step", "every_rounds": 0}, "optimizer.schedule.every_rounds is 0; it is at least 1."),
        ({"name": "exponential", "gamma": 1.5}, "optimizer.schedule.gamma is 1.5; it is at most 1."),
        ({"name": "inverse_sqrt", "gamma": 1}, "optimizer.schedule.gamma is not an option of 'inverse_sqrt'; none is known."),
    ],
)
def test_a_wrong_schedule_is_one_sentence(schedule: object, sentence: str) -> None:
    with pytest.raises(InputError) as found:
        Optimizer(name="SGD", schedule=schedule)  # type: ignore[arg-type]
    assert str(found.value) == sentence
