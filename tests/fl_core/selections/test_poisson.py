import pytest

from fl_core.selections.poisson import poisson
from tests.fl_core.draws import a_draw, times_drawn

SIZES = {"a": 1, "b": 10, "c": 100}


def test_each_client_has_a_coin_of_its_own() -> None:
    choices = [poisson(0.3)(a_draw(SIZES, seed=seed)) for seed in range(1000)]
    assert all(count == pytest.approx(300, abs=50) for count in times_drawn(choices).values())
    # Independent coins: nobody with 0.7**3 = 0.343, everyone with 0.3**3 = 0.027. A fixed number a round would never give either.
    assert sum(not chosen for chosen in choices) == pytest.approx(343, abs=50)
    assert sum(len(chosen) == 3 for chosen in choices) == pytest.approx(27, abs=17)


def test_a_rate_of_one_is_everyone() -> None:
    assert list(poisson(1)(a_draw(SIZES))) == ["a", "b", "c"]
