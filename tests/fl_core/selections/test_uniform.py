import pytest

from fl_core.errors import InputError
from fl_core.selections.everyone import everyone
from fl_core.selections.uniform import uniform
from tests.fl_core.draws import a_draw, times_drawn

SIZES = {"a": 1, "b": 10, "c": 100, "d": 1000}


def test_each_client_is_as_likely_as_any_other_whatever_its_size() -> None:
    counts = times_drawn([uniform(2)(a_draw(SIZES, seed=seed)) for seed in range(1000)])
    assert all(count == pytest.approx(500, abs=60) for count in counts.values())


def test_the_same_seed_draws_the_same_clients_in_order_of_their_names() -> None:
    first, again = (uniform(3)(a_draw(SIZES, seed=4)) for _ in range(2))
    assert first == again == sorted(first)


def test_a_number_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match=r"selection.clients_per_round is 0; at least 1 client takes part in a round."):
        uniform(0)
    with pytest.raises(InputError, match=r"selection.clients_per_round is 5, but the federation has 4 clients; draw at most as many."):
        uniform(5)(a_draw(SIZES))


def test_everyone_is_everyone() -> None:
    assert list(everyone()(a_draw(SIZES))) == ["a", "b", "c", "d"]
