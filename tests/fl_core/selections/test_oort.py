import math
from dataclasses import replace

import pytest

from fl_core.selections._devices import Devices
from fl_core.selections.oort import oort, utilities
from fl_core.types import LocalWork
from tests.fl_core.draws import a_draw, times_drawn

SIZES = {f"c{number}": 10 for number in range(8)}


def test_utility_by_hand() -> None:
    # 10 * 4 and 10 * 1 examples times loss; the 95th percentile of {40, 10} is 38.5, so 1 and 10 / 38.5, plus sqrt(0.1 * log(5) / 4).
    draw = a_draw(SIZES, round=5, losses={"c0": 4.0, "c1": 1.0})
    newness = math.sqrt(0.1 * math.log(5) / 4)
    worth = utilities(draw, draw.history(), Devices(), None, 2.0)
    assert worth == {"c0": pytest.approx(1 + newness), "c1": pytest.approx(10 / 38.5 + newness)}


def test_a_device_that_takes_twice_the_preferred_time_is_worth_a_quarter() -> None:
    draw = a_draw(SIZES, round=5, losses={"c0": 4.0, "c1": 4.0})
    devices = Devices(examples_per_second=10, upload_seconds=0, spread=1)  # 10 examples: 1 second
    fast, slow = (utilities(draw, draw.history(), devices, seconds, 2.0) for seconds in (1.0, 0.5))
    assert slow["c0"] == pytest.approx(fast["c0"] / 4)


def test_a_device_takes_as_long_as_the_strategy_has_it_train() -> None:
    devices = Devices(examples_per_second=10, upload_seconds=0, spread=1)
    draw = a_draw(SIZES, round=5, losses={"c0": 4.0, "c1": 4.0})
    longer = replace(draw, work=LocalWork(epochs=2))
    once, twice = (utilities(one, one.history(), devices, 1.0, 2.0) for one in (draw, longer))
    assert twice["c0"] == pytest.approx(once["c0"] / 4)


def test_before_anybody_was_seen_all_are_as_likely() -> None:
    counts = times_drawn([oort(4)(a_draw(SIZES, seed=seed)) for seed in range(400)])
    assert all(count == pytest.approx(200, abs=40) for count in counts.values())


def test_a_share_goes_to_the_new_and_the_others_to_the_most_useful() -> None:
    losses = {"c0": 9.0, "c1": 8.9, "c2": 0.1, "c3": 0.1}
    select = oort(4, exploration=0.5, exploration_decay=1.0)
    for seed in range(20):
        chosen = select(a_draw(SIZES, round=2, seed=seed, losses=losses))
        assert sorted(chosen)[:2] == ["c0", "c1"]
        assert {*chosen} - {"c0", "c1"} <= {"c4", "c5", "c6", "c7"}


def test_once_everyone_was_seen_nobody_is_new() -> None:
    losses = dict.fromkeys(SIZES, 1.0)
    assert len(set(oort(8)(a_draw(SIZES, round=3, losses=losses)))) == 8


def test_clients_without_a_loss_are_drawn_all_the_same() -> None:
    assert len(set(oort(8)(a_draw(SIZES, round=3, losses=dict.fromkeys(SIZES, 0.0))))) == 8
