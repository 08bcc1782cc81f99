"""What the strategies have in common with FedAvg: whom they weigh how, and a server's learning rate that is above 0."""

from inspect import signature
from typing import Any

import pytest

from fl_core.reference import built_in, resolve
from tests.fl_core.harness import numbers, person, play, small_run, three

UNEQUAL = [person("a", three(1, 0, -1), examples=1), person("b", three(3, 0, -3), examples=3)]
EQUAL = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3))]
NEEDS: dict[str, dict[str, Any]] = {"fed_per": {"personal": ["b"]}}
WEIGHING = ["ditto", "fed_adagrad", "fed_adam", "fed_avg", "fed_avgm", "fed_per", "fed_prox", "fed_yogi", "local_fine_tuning"]


def taking(option: str) -> list[str]:
    """The built-in strategies with that option."""
    return [name for name in built_in("strategy") if option in signature(resolve("strategy", name, {})).parameters]


def after(name: str, people: list[Any], **options: Any) -> list[float]:
    """The weights after a round of that strategy."""
    strategy = resolve("strategy", name, {})(**NEEDS.get(name, {}), **options)
    return numbers(play(small_run(strategy, people, three(0, 0, 0)), people).weights)


def test_these_weigh_as_the_job_says() -> None:
    assert taking("weigh") == WEIGHING


@pytest.mark.parametrize("name", WEIGHING)
def test_clients_who_weigh_equally_count_as_if_each_had_as_many_examples(name: str) -> None:
    assert after(name, UNEQUAL, weigh="equally") == after(name, EQUAL) != after(name, UNEQUAL)


@pytest.mark.parametrize("name", taking("server_learning_rate"))
def test_a_server_that_would_step_backwards_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^server_learning_rate is -1; it is above 0$"):
        after(name, EQUAL, server_learning_rate=-1)
