import pytest

from fl_core.errors import InputError
from fl_core.selections.power_of_choice import power_of_choice
from tests.fl_core.draws import a_draw, times_drawn

SIZES = {"a": 10, "b": 10, "c": 10, "d": 10}


def test_of_all_candidates_the_worst_are_chosen() -> None:
    draw = a_draw(SIZES, round=2, losses={"a": 0.1, "b": 3.0, "c": 0.2, "d": 2.0})
    assert power_of_choice(2, candidates=4)(draw) == ["b", "d"]


def test_who_was_never_seen_counts_as_the_worst() -> None:
    draw = a_draw(SIZES, round=2, losses={"a": 9.0, "b": 3.0, "d": 2.0})
    assert power_of_choice(2, candidates=4)(draw) == ["c", "a"]


def test_only_candidates_are_looked_at_and_they_are_drawn_by_size() -> None:
    losses = {"a": 0.0, "b": 0.0, "c": 9.0}
    draws = [a_draw({"a": 45, "b": 45, "c": 10}, round=2, seed=seed, losses=losses) for seed in range(500)]
    # c is chosen whenever it is one of the two candidates: 1 - (0.45 * 0.45 / 0.55) * 2 = 0.264
    assert times_drawn([power_of_choice(1, candidates=2)(draw) for draw in draws])["c"] == pytest.approx(132, abs=30)


def test_fewer_candidates_than_choices_are_refused() -> None:
    with pytest.raises(InputError, match=r"selection.candidates is 1; it is at least selection.clients_per_round, 2."):
        power_of_choice(2, candidates=1)
    with pytest.raises(InputError, match=r"selection.candidates is 9, but the federation has 4 clients"):
        power_of_choice(2, candidates=9)(a_draw(SIZES))
