import pytest

from fl_core.strategies.trimmed_mean import trimmed_mean
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person(name, three(target, -target, 0)) for name, target in zip("abcd", (2, 4, 6, 2000), strict=True)]


def test_one_round_by_hand() -> None:
    # Moves 1, 2, 3, 1000; a quarter of four clients is one at each end: (2 + 3) / 2.
    assert numbers(play(small_run(trimmed_mean(trim=0.25), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [2.5, -2.5, 0]


def test_less_than_one_client_is_none() -> None:
    assert numbers(play(small_run(trimmed_mean(trim=0.2), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [251.5, -251.5, 0]


def test_trimming_everybody_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trim is 0.5; it is at least 0 and below 0.5"):
        trimmed_mean(trim=0.5)
