"""Simulated seconds: what a plan says of a round's time on devices, where it is read, and that it changes nothing else."""

import json
from collections.abc import Sequence
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from fl_core import run, scheduler
from fl_core.comparison_facts import read_outcome, simulated_seconds, walked
from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.pool import Pool
from fl_core.reference import built_in, resolve
from fl_core.report import render
from fl_core.run_folder import Run, plan_key
from fl_core.selections._devices import Devices
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategies.fed_buff import Flights, fed_buff
from fl_core.strategy import Draw, Strategy, load_strategy
from fl_core.summary import row_of, rows
from fl_core.types import LocalWork
from fl_core.verify import verify
from tests.fl_core.harness import JOB, PEOPLE, START, play, small_run, three_clients
from tests.jobs import tiny_job

# Every device alike: 1 example a second and 2 seconds to send. The clients a, b, c hold 1, 1 and 2 examples.
DEVICES = {"examples_per_second": 1, "upload_seconds": 2, "spread": 1}
BESIDE = "selection={name: uniform, clients_per_round: 2, devices: {spread: 2, seed: 3}}"


def selecting(name: str = "everyone", strategy: Strategy | None = None, **options: object) -> Run:
    return three_clients(strategy, selection={"name": name, **options})


def test_a_round_takes_as_long_as_its_slowest_device_with_all_its_epochs() -> None:
    for epochs in (1, 3):
        one = selecting(devices=DEVICES, strategy=fed_avg(local_epochs=epochs))
        assert scheduler.plan(one, 1)["simulated_seconds"] == 2 * epochs + 2


def test_only_those_who_were_chosen_count() -> None:
    one = selecting("deadline_aware", clients_per_round=3, deadline_seconds=3, devices=DEVICES)
    plan = scheduler.plan(one, 1)
    assert (plan["clients"], plan["simulated_seconds"]) == (2, 3)


def test_who_is_left_out_was_waited_for() -> None:
    one = selecting(devices=DEVICES)
    play(one, PEOPLE, leave_out={"c": "it failed"})
    assert row_of(one, 1)["simulated_seconds"] == 4


def test_a_round_of_nobody_takes_no_time() -> None:
    assert scheduler.plan(selecting("deadline_aware", clients_per_round=3, deadline_seconds=1, devices=DEVICES), 1)["simulated_seconds"] == 0


def test_a_selection_that_looks_at_devices_has_the_default_ones() -> None:
    assert "simulated_seconds" in scheduler.plan(selecting("oort", clients_per_round=2), 1)


def test_without_devices_nothing_is_said_of_time() -> None:
    one = selecting("uniform", clients_per_round=2)
    play(one, PEOPLE)
    assert "simulated_seconds" not in one.record(plan_key(1))
    assert all("simulated_seconds" not in row for row in rows(one))


def test_devices_beside_a_selection_change_nobody_who_is_drawn() -> None:
    plain, timed = (selecting("uniform", clients_per_round=2, **more) for more in ({}, {"devices": DEVICES}))
    for round in (1, 2, 3):
        play(plain, PEOPLE, round)
        play(timed, PEOPLE, round)
        assert plain.record(plan_key(round))["workers"] == timed.record(plan_key(round))["workers"]


def test_rounds_of_who_is_done_first_take_what_the_flights_say() -> None:
    one = small_run(fed_buff(buffer_size=1, clients_in_flight=2, devices=Devices(), local_epochs=2), PEOPLE, START)
    for round in range(1, 7):
        play(one, PEOPLE, round)
    people = one.population
    draw = Draw(1, people.clients, people.sizes, np.random.default_rng(), seed=one.job.seed_for("select"))
    flights = Flights(draw, lambda name, size: sum(Devices().seconds(name, size, LocalWork(epochs=2))), 2, 1, 10)
    assert sum(row.get("simulated_seconds", 0) for row in rows(one)) == pytest.approx(flights.ends_at(6), abs=1e-5)


def test_measured_arrivals_are_not_simulated() -> None:
    assert fed_buff(arrivals="measured").round_seconds is None


@pytest.mark.parametrize("name", [name for name in built_in("strategy") if "local_epochs" in signature(resolve("strategy", name, {})).parameters])
def test_every_strategy_says_how_much_a_client_trains(name: str) -> None:
    needed = {"fed_per": ", personal: [b]", "krum": ", byzantine: 0", "multi_krum": ", byzantine: 0, keep: 1"}.get(name, "")
    job = parse_job(JOB, [f"strategy={{name: {name}, local_epochs: 3, batch_size: 7{needed}}}"])
    assert load_strategy(job).work == LocalWork(epochs=3, batch_size=7)


def test_what_a_wrapper_wraps_says_how_much_a_client_trains() -> None:
    job = parse_job(JOB, ["strategy={name: top_k, around: {name: fed_prox, local_steps: 4}}"])
    assert load_strategy(job).work == LocalWork(steps=4)


def test_an_unknown_key_of_devices_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"selection.devices.sped is 2; did you mean 'spread'\?"):
        load_strategy(parse_job(JOB, ["selection={name: uniform, clients_per_round: 1, devices: {sped: 2}}"]))


def test_asynchronous_rounds_have_the_strategys_own_devices() -> None:
    with pytest.raises(InputError, match=r"says itself who arrives when; leave the selection out\."):
        load_strategy(parse_job(JOB, ["strategy=fed_buff", "selection={name: everyone, devices: {spread: 2}}"]))


def pick(devices: Sequence[str]) -> object:
    """A selection of the user's that means something else by `devices`."""
    return lambda draw: list(devices)


def test_a_users_selection_may_mean_something_else_by_devices() -> None:
    plan = scheduler.plan(selecting("tests.fl_core.test_simulated:pick", devices=["a", "c"]), 1)
    assert plan["workers"] == {"worker-0": [["a"]], "worker-2": [["c"]]}
    assert "simulated_seconds" not in plan


def test_time_is_in_the_rows_the_summary_and_the_report_and_is_verified(pool: Pool, tmp_path: Path) -> None:
    timed = run(tiny_job(BESIDE, "rounds=2"), out=tmp_path / "timed", pool=pool)
    plans = [timed.run.record(plan_key(round))["simulated_seconds"] for round in (1, 2)]
    table = [json.loads(line) for line in bytes(timed.run.store.get("metrics.jsonl")).splitlines()]
    assert [row.get("simulated_seconds") for row in table] == [None, *plans]
    assert timed.summary["simulated_seconds"] == pytest.approx(sum(plans))
    assert verify(timed.run.store).good
    page = render(timed.run)
    assert "simulated time" in page
    assert ">simulated_seconds</th>" in page
    outcome = read_outcome(timed.run)
    assert simulated_seconds(outcome) == pytest.approx(sum(plans))
    assert walked(outcome, "simulated seconds") == pytest.approx([0, plans[0], sum(plans)])


def test_devices_beside_a_selection_change_no_bit_and_cost_no_other_job_a_word(pool: Pool, tmp_path: Path) -> None:
    plain = run(tiny_job("selection={name: uniform, clients_per_round: 2}", "rounds=2"), out=tmp_path / "plain", pool=pool)
    timed = run(tiny_job(BESIDE, "rounds=2", "federation.workers=1"), out=tmp_path / "timed", pool=pool)
    assert plain.digest == timed.digest
    assert "simulated" not in bytes(plain.run.store.get("metrics.jsonl")).decode() + json.dumps(plain.summary) + render(plain.run)
