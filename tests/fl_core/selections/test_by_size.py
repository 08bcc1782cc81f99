import pytest

from fl_core.errors import InputError
from fl_core.selections.by_size import by_size
from tests.fl_core.draws import a_draw, times_drawn

SIZES = {"a": 10, "b": 20, "c": 70}


def test_clients_are_drawn_in_proportion_to_their_examples() -> None:
    counts = times_drawn([by_size(1)(a_draw(SIZES, seed=seed)) for seed in range(1000)])
    assert counts == {"a": pytest.approx(100, abs=30), "b": pytest.approx(200, abs=40), "c": pytest.approx(700, abs=45)}


def test_nobody_is_drawn_twice_however_large() -> None:
    assert by_size(3)(a_draw({"a": 1, "b": 1, "c": 10**9})) == ["a", "b", "c"]


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match=r"clients_per_round is 4, but the federation has 3 clients"):
        by_size(4)(a_draw(SIZES))
