"""The simulated devices, and the selections that look at them."""

from dataclasses import replace

import numpy as np
import pytest

from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.selections._devices import Devices
from fl_core.selections.deadline_aware import deadline_aware
from fl_core.selections.resource_aware import fill, resource_aware
from fl_core.selections.uniform import uniform
from fl_core.types import LocalWork
from tests.fl_core.draws import a_draw
from tests.fl_core.harness import JOB

SIZES = {f"client-{number:03d}": 100 for number in range(200)}
DEVICES = Devices(examples_per_second=100, upload_seconds=0, spread=3)


def test_a_device_has_the_same_speed_every_time_and_another_seed_another() -> None:
    assert DEVICES.seconds("a", 100) == DEVICES.seconds("a", 100) != Devices(upload_seconds=0, seed=1).seconds("a", 100)
    assert DEVICES.seconds("a", 200)[0] == 2 * DEVICES.seconds("a", 100)[0]


def test_training_takes_as_long_as_its_epochs_or_steps_and_sending_does_not() -> None:
    devices = Devices(examples_per_second=50, upload_seconds=2, spread=1)
    assert devices.seconds("a", 100, LocalWork(epochs=3)) == (6, 2)
    assert devices.seconds("a", 100, LocalWork(steps=5, batch_size=20)) == (2, 2)
    assert devices.round_seconds({"a": 100, "b": 50}, LocalWork(epochs=3)) == 8


def test_a_deadline_is_met_with_all_epochs_and_not_with_one() -> None:
    devices = Devices(examples_per_second=100, upload_seconds=0, spread=1)  # 100 examples: 1 second an epoch
    draw, longer = a_draw(SIZES), replace(a_draw(SIZES), work=LocalWork(epochs=3))
    for select in (deadline_aware(5, deadline_seconds=2, devices=devices), resource_aware(5, deadline_seconds=2, devices=devices)):
        assert len(select(draw)) == 5
        assert select(longer) == []


def test_without_a_spread_all_devices_are_the_median_one() -> None:
    assert Devices(examples_per_second=50, upload_seconds=2, spread=1).seconds("a", 100) == (2, 2)


def test_two_thirds_of_the_devices_lie_within_the_spread() -> None:
    times = np.array([DEVICES.seconds(client, size)[0] for client, size in SIZES.items()])
    assert np.median(times) == pytest.approx(1, rel=0.2)
    assert np.mean((times > 1 / 3) & (times < 3)) == pytest.approx(0.68, abs=0.08)


def test_an_unknown_key_of_devices_is_refused() -> None:
    job = parse_job(JOB, ["selection={name: deadline_aware, clients_per_round: 1, deadline_seconds: 5, devices: {sped: 2}}"])
    with pytest.raises(InputError, match=r"selection.devices.sped is 2; did you mean 'spread'\?"):
        job.build("selection", job.selection)


def test_a_round_waits_for_its_slowest() -> None:
    assert DEVICES.round_seconds({}) == 0
    assert DEVICES.round_seconds({"a": 100, "b": 100}) == max(sum(DEVICES.seconds(name, 100)) for name in "ab")


def test_a_deadline_shortens_rounds_and_leaves_the_slow_out() -> None:
    chosen, any_ones = (
        [select(a_draw(SIZES, seed=seed)) for seed in range(20)] for select in (deadline_aware(10, deadline_seconds=2, devices=DEVICES), uniform(10))
    )
    assert all(len(clients) == 10 for clients in chosen)
    slowest = [[DEVICES.round_seconds(dict.fromkeys(clients, 100)) for clients in choices] for choices in (chosen, any_ones)]
    assert max(slowest[0]) <= 2
    assert np.mean(slowest[1]) > 2 * np.mean(slowest[0])


def test_where_few_are_fast_enough_few_are_drawn() -> None:
    fast = [client for client in SIZES if sum(DEVICES.seconds(client, 100)) <= 0.2]
    assert sorted(deadline_aware(100, deadline_seconds=0.2, devices=DEVICES)(a_draw(SIZES))) == fast
    assert 0 < len(fast) < 100


def test_replies_share_a_channel_by_hand() -> None:
    # b sends from 1 to 2. c is ready at 3 and sends to 4; a is ready at 2 and would send to 5. After c, a sends from 4 to 7: too late for 6.
    times = {"a": (2.0, 3.0), "b": (1.0, 1.0), "c": (3.0, 1.0)}
    assert fill(times, 6) == ["b", "c"]
    assert fill(times, 7) == ["b", "c", "a"]
    assert fill(times, 1) == []


def test_resource_aware_asks_only_its_candidates() -> None:
    everyone_fits = Devices(upload_seconds=0, spread=1)
    assert len(resource_aware(candidates=7, deadline_seconds=60, devices=everyone_fits)(a_draw(SIZES))) == 7
    with pytest.raises(InputError, match=r"selection.candidates is 0; at least 1 client is asked."):
        resource_aware(candidates=0, deadline_seconds=60)
