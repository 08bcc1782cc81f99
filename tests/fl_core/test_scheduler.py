from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml

from fl_core.errors import InputError
from fl_core.run_folder import Run, metrics_key, plan_key
from fl_core.scheduler import plan, split
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Draw
from tests.fl_core.harness import JOB, person, play, small_run, three

PEOPLE = [person("a", three(1, 0, 0), 5), person("b", three(0, 1, 0), 4), person("c", three(0, 0, 1), 3), person("d", three(1, 1, 1), 3)]


def job_with(*overrides: str) -> str:
    """The small job with overrides such as `rounds: 1`."""
    changes: dict[str, Any] = {key: value for override in overrides for key, value in yaml.safe_load(override).items()}
    return yaml.safe_dump({**yaml.safe_load(JOB), **changes})


def four(*overrides: str, workers: int = 1) -> Run:
    """A run of four clients with 5, 4, 3 and 3 examples."""
    return small_run(fed_avg(), PEOPLE, three(0, 0, 0), workers, job_with(*overrides))


def measured(run: Run, round: int, **metrics: float) -> None:
    run.put(metrics_key(round), {"run": run.name, "round": round, "metrics": metrics, "clients": {}})


def test_leases_are_dealt_largest_first_to_the_lightest() -> None:
    # 5 -> [5], 4 -> [4], 3 (c) -> 4 + 3, 3 (d) -> 5 + 3
    assert split(["a", "b", "c", "d"], {"a": 5, "b": 4, "c": 3, "d": 3}, 2) == [["a", "d"], ["b", "c"]]


def test_no_lease_is_empty() -> None:
    assert split(["b", "a"], {"a": 1, "b": 1}, 5) == [["a"], ["b"]]
    assert split([], {}, 3) == []


def test_everyone_is_in_one_lease() -> None:
    clients = [f"c{i}" for i in range(50)]
    leases = split(clients, {client: i % 7 + 1 for i, client in enumerate(clients)}, 4)
    assert sorted(client for lease in leases for client in lease) == sorted(clients)


def test_a_plan_gives_each_worker_its_own_clients_in_leases() -> None:
    assert plan(four(workers=2), 1)["workers"] == {"worker-0": [["a", "c"]], "worker-1": [["b", "d"]]}
    assert plan(four(workers=1), 1, parts=2)["workers"] == {"worker-0": [["a", "d"], ["b", "c"]]}


def test_the_jobs_parts_win_over_the_runners() -> None:
    assert plan(four("federation: {workers: 1, parts: 1}"), 1, parts=4)["workers"] == {"worker-0": [["a", "b", "c", "d"]]}


def test_a_plan_is_made_once() -> None:
    run = four()
    first = plan(run, 1, parts=1)
    assert plan(run, 1, parts=4) == first
    assert run.record(plan_key(1)) == first


def test_a_plan_names_what_it_rests_on() -> None:
    run = four()
    assert plan(run, 1)["state"] == run.digest("rounds/0001/state.safetensors")
    play(run, PEOPLE)
    assert plan(run, 2)["previous"] == run.digest("rounds/0001/close.json")


def test_a_draw_depends_on_seed_and_round_alone() -> None:
    def drawn(seed: int, workers: int, round: int) -> list[str]:
        run = four(f"seed: {seed}", "selection: {name: uniform, clients_per_round: 2}", workers=workers)
        for earlier in range(1, round):
            play(run, PEOPLE, earlier)
        return sorted(client for leases in plan(run, round)["workers"].values() for lease in leases for client in lease)

    assert drawn(1, 1, 2) == drawn(1, 2, 2)
    assert len({tuple(drawn(seed, 1, 1)) for seed in range(8)}) > 1
    assert len({tuple(drawn(1, 1, round)) for round in range(1, 6)}) > 1


def test_a_round_for_which_nobody_is_drawn_has_no_workers() -> None:
    def nobody(draw: Draw) -> Sequence[str]:
        return []

    run = small_run(replace(fed_avg(), select=nobody), PEOPLE, three(0, 0, 0))
    record = plan(run, 1)
    assert (record["clients"], record["workers"], record["finished"]) == (0, {}, False)


def test_the_job_is_finished_after_its_rounds() -> None:
    run = four("rounds: 1")
    play(run, PEOPLE)
    record = plan(run, 2)
    assert (record["finished"], record["why"]) == (True, "rounds")


def test_a_plan_after_the_end_is_an_end_too() -> None:
    run = four("rounds: 1")
    play(run, PEOPLE)
    plan(run, 2)
    assert plan(run, 3)["finished"]


@pytest.mark.parametrize(
    ("goal", "metrics", "finished"),
    [
        ("{accuracy: 0.9}", {"accuracy": 0.9}, True),
        ("{accuracy: 0.9}", {"accuracy": 0.89}, False),
        ("{accuracy: 0.97}", {"accuracy": 0.9699999999}, True),
        ("{accuracy: 0.97}", {"accuracy": 0.9699}, False),
        ("{loss: 0.5}", {"loss": 0.5}, True),
        ("{loss: 0.5}", {"loss": 0.51}, False),
        ("{accuracy: 0.9, loss: 0.5}", {"accuracy": 0.95, "loss": 0.6}, False),
        ("{accuracy: 0.9, loss: 0.5}", {"accuracy": 0.95, "loss": 0.4}, True),
    ],
)
def test_a_job_stops_when_every_goal_is_reached(goal: str, metrics: dict[str, float], finished: bool) -> None:
    run = four(f"stop_when: {goal}")
    measured(run, 1, **metrics)
    assert plan(run, 1)["finished"] is finished


def test_a_round_that_was_not_measured_stops_nothing() -> None:
    assert not plan(four("stop_when: {accuracy: 0.1}"), 1)["finished"]


def test_a_goal_that_the_evaluation_does_not_give_is_refused() -> None:
    run = four("stop_when: {auc: 0.9}")
    measured(run, 1, accuracy=0.5, loss=1.0)
    with pytest.raises(InputError, match=r"^stop_when.auc waits for what the evaluation does not give; it gives accuracy, loss\.$"):
        plan(run, 1)


def test_a_selection_of_the_strategys_own_stands_unless_the_job_names_another() -> None:
    def first(draw: Draw) -> Sequence[str]:
        return draw.clients[:1]

    def drawn(job: str) -> int:
        return int(plan(small_run(replace(fed_avg(), select=first), PEOPLE, three(0, 0, 0), job=job), 1)["clients"])

    assert drawn(JOB) == 1
    assert drawn(job_with("selection: {name: uniform, clients_per_round: 3}")) == 3


def test_a_selection_may_look_at_the_servers_memory() -> None:
    def the_remembered(draw: Draw) -> Sequence[str]:
        return [draw.clients[int(draw.memory["turn"])]]

    strategy = replace(fed_avg(), select=the_remembered, init=lambda trainable: {"turn": np.array(2)})
    assert plan(small_run(strategy, PEOPLE, three(0, 0, 0)), 1)["workers"] == {"worker-0": [["c"]]}


def test_a_selection_that_starts_clients_from_an_earlier_round_needs_an_asynchronous_strategy() -> None:
    def late(draw: Draw) -> dict[str, int]:
        return {draw.clients[0]: 1}

    run = small_run(replace(fed_avg(), select=late), PEOPLE, three(0, 0, 0))
    play(run, PEOPLE)
    with pytest.raises(InputError) as caught:
        plan(run, 2)
    assert str(caught.value) == ("The selection 'everyone' starts 'a' in round 2 from round 1, but 'fed_avg' has no staleness_max; give names alone.")
