"""A worker's turns and the server's measurements where arrivals are measured, one step at a time; training is a fake."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from fl_core import scheduler, server
from fl_core.asynchronous import Measurements, Turns, close_by_arrivals, side_by_side, still_due
from fl_core.codec import encode_record
from fl_core.errors import FederationError, KeyMissing, PolicyError, QuorumError, StoreError
from fl_core.flight import in_flight
from fl_core.lease import Leases
from fl_core.pool import Call, Pool
from fl_core.run_folder import Run, close_key, metrics_key, plan_key, state_key
from fl_core.seat import STATUS, Seat
from fl_core.waiting import Rhythm
from fl_core.worker import newly_due, tasks_of, train_part
from tests.fl_core.arriving import PEOPLE, again, arrive, evaluated, federation, round_of, starting
from tests.fl_core.harness import opener


@dataclass
class Trainer:
    """Stands in for a pool: trains in this process, and says whom."""

    run_of: Run
    before: Callable[[], None] = lambda: None
    trained: list[tuple[str, int]] = field(default_factory=list)
    error: FederationError | None = None

    def run(self, calls: Sequence[Call]) -> Iterator[tuple[Call, Any]]:
        for call in calls:
            self.before()
            if self.error:
                yield call, self.error
                continue
            plan = self.run_of.record(plan_key(call.arguments["round"]))
            task = tasks_of(plan, "train", [call.arguments["worker"]])[call.arguments["part"]]
            train_part(self.run_of, task, opener(PEOPLE), {})
            self.trained.append((task.clients[0], task.round))
            yield call, {"seconds": 0.0}


def turns(run: Run, trainer: Trainer, lease_seconds: float = 1000.0, idle_seconds: float = 0.0, measures: bool = False) -> Turns:
    """A process of worker-0, which measures nothing unless it is said to."""
    return Turns(Seat(run, "worker-0", cast(Pool, trainer), Leases(run.private, run.store.uri, lease_seconds), measures, idle_seconds, Rhythm()))


def steps(process: Turns) -> int:
    """Does all that there is to do now; gives in how many steps."""
    done = 0
    while process.step():
        done += 1
    return done


# ---- a worker ---------------------------------------------------------------------------------------------------------------------------------


def test_the_oldest_client_in_flight_is_trained_first_and_each_once() -> None:
    one = federation()
    round_of(one, 1, a=1)
    scheduler.plan(one, 2)
    trainer = Trainer(again(one))
    process = turns(again(one), trainer)
    assert steps(process) == 3  # the plan, b, a
    assert trainer.trained == [("b", 1), ("a", 2)]
    assert steps(turns(again(one), trainer)) == 1
    assert in_flight(again(one), 2) == {"b": 1}


def test_a_closed_round_does_not_end_the_work_on_it() -> None:
    one = federation()
    scheduler.plan(one, 1)
    trainer = Trainer(again(one))
    process = turns(again(one), trainer)
    process.step()
    arrive(one, "a", 1)
    server.close(one, 1)
    assert steps(process) == 1
    assert trainer.trained == [("b", 1)]
    scheduler.plan(one, 2)
    assert steps(process) == 2
    assert trainer.trained == [("b", 1), ("a", 2)]


def test_between_two_clients_a_worker_looks_for_a_newer_plan_and_leaves_who_was_dropped() -> None:
    one = federation(starting({1: ["a", "b"], 2: ["c"], 3: ["d"]}, staleness_max=1))
    scheduler.plan(one, 1)
    trainer = Trainer(again(one))
    process = turns(again(one), trainer)
    process.step()
    arrive(one, "a", 1)
    server.close(one, 1)
    round_of(one, 2, c=2)  # b is too old now
    scheduler.plan(one, 3)
    steps(process)
    assert trainer.trained == [("d", 3)]


def test_what_another_process_of_the_worker_holds_is_left_to_it() -> None:
    one = federation()
    scheduler.plan(one, 1)
    first, second = Trainer(again(one)), Trainer(again(one))
    other = turns(again(one), second)
    other.step()
    first.before = lambda: None if second.trained else (other.step(), None)[1]  # while the first trains a, the second does the next
    steps(turns(again(one), first))
    assert (first.trained, second.trained) == ([("a", 1)], [("b", 1)])


def test_the_client_of_a_process_that_was_killed_is_taken_over_once_its_lease_is_over() -> None:
    one = federation(starting({1: ["a"]}))
    scheduler.plan(one, 1)

    def be_killed() -> None:
        raise KeyboardInterrupt

    for seconds, trained in ((1000.0, []), (-1.0, [("a", 1)])):
        with pytest.raises(KeyboardInterrupt):
            steps(turns(again(one), Trainer(again(one), be_killed), seconds))
        trainer = Trainer(again(one))
        steps(turns(again(one), trainer))
        assert trainer.trained == trained
        one.private.delete(*one.private.list("leases/"))


def test_a_reply_that_a_server_come_back_does_not_take_is_made_again() -> None:
    one = federation(starting({1: ["a"]}), quorum=1.0)
    scheduler.plan(one, 1)
    trainer = Trainer(again(one))
    process = turns(again(one), trainer)
    process.step()
    arrive(one, "a", 1, leave_out={"a": "raised OSError"})
    steps(process)
    assert trainer.trained == []
    server.forget_failed_replies(again(one), 1)
    process._asked -= 60
    steps(process)  # which is when it asks how the server is
    steps(process)
    assert trainer.trained == [("a", 1)]


def test_a_state_that_was_forgotten_meanwhile_ends_no_worker() -> None:
    one = federation(starting({1: ["a"]}))
    scheduler.plan(one, 1)
    trainer = Trainer(again(one), error=KeyMissing(state_key(1)))
    with pytest.raises(KeyMissing):
        steps(turns(again(one), trainer, lease_seconds=-1.0))
    trainer.before = lambda: one.store.delete(state_key(1))
    assert steps(turns(again(one), trainer)) == 2


def test_a_worker_ends_with_the_run_and_says_how_many_rounds_it_had() -> None:
    one = federation(rounds=2)
    round_of(one, 1, a=1)
    round_of(one, 2, a=2)
    scheduler.plan(one, 3)
    trainer = Trainer(again(one))
    assert turns(again(one), trainer, idle_seconds=60).take() == 2
    assert trainer.trained == []


def test_a_worker_gives_up_where_nothing_moves_or_the_server_stopped() -> None:
    one = federation(starting({1: ["a"]}))
    with pytest.raises(StoreError, match=r"Nothing moved after round 1 in memory:// for 0 s; is the server running\?"):
        turns(again(one), Trainer(one)).take()
    one.store.swap(STATUS, None, encode_record({"status": "stopped", "why": "Round 1 has 0 of 1 clients."}))
    process = turns(again(one), Trainer(one), idle_seconds=60)
    process._asked -= 60
    with pytest.raises(PolicyError, match=r"The server stopped the run: Round 1 has 0 of 1 clients"):
        process.take()


def test_calls_side_by_side_give_what_each_gives_and_the_first_error() -> None:
    def fail() -> int:
        raise StoreError("no store")

    assert sorted(side_by_side([lambda: 1, lambda: 2])) == [1, 2]
    with pytest.raises(StoreError, match="no store"):
        side_by_side([fail, lambda: 2])


def test_a_worker_that_was_away_measures_every_state_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    one = federation(starting({round: ["a"] for round in range(1, 9)}, in_flight=1, staleness_max=1), rounds=8)
    for round in range(1, 9):
        round_of(one, round, a=round)
    for round in (1, 2, 5):
        evaluated(one, round, 0.5)
    one.store.delete(state_key(4))  # forgotten before it was measured
    measured = []

    def measure(run: Run, round: int, name: str, pool: Pool) -> None:
        measured.append(round)
        evaluated(run, round, 0.5)

    monkeypatch.setattr("fl_core.worker.measure", measure)
    steps(turns(again(one), Trainer(again(one)), measures=True))
    assert measured == [3, 6, 7, 8, 9]
    assert scheduler.plan(one, 9)["finished"]
    assert still_due(one, newly_due(one.job, 9, arrivals_are_measured=True)) == []


# ---- the server -------------------------------------------------------------------------------------------------------------------------------


def test_a_round_closes_by_its_deadline_with_who_is_there() -> None:
    one = federation(deadline_seconds=1, quorum=0.5, strategy=starting({1: ["a", "b", "c"]}, buffer_size=2, in_flight=3))
    plan = scheduler.plan(one, 1)
    arrive(one, "b", 1)
    close_by_arrivals(again(one), plan, Rhythm(), seconds=0.0)
    closed = one.record(close_key(1))
    assert (closed["bases"], [entry["client"] for entry in closed["left_out"]]) == ({"b": 1}, ["a", "c"])
    close_by_arrivals(again(one), plan, Rhythm(), seconds=0.0)
    assert one.store.exists(state_key(2))


def test_without_a_deadline_nobody_is_left_out_for_lateness() -> None:
    one = federation(starting({1: ["a", "b"]}, buffer_size=2))
    plan = scheduler.plan(one, 1)
    arrive(one, "b", 1)
    with pytest.raises(QuorumError, match=r"Round 1 did not have 2 good replies after 0 s; are the workers running\?"):
        close_by_arrivals(again(one), plan, Rhythm(), seconds=0.0)
    assert not one.store.exists(close_key(1))
    arrive(one, "a", 1)
    close_by_arrivals(again(one), plan, Rhythm(), seconds=0.0)
    assert one.record(close_key(1))["bases"] == {"a": 1, "b": 1}


def test_evaluations_are_merged_as_they_come_and_waited_for_at_the_end_alone() -> None:
    one = federation(rounds=3)
    measurements = Measurements(one, ["worker-0"], 1)
    assert [newly_due(one.job, round, arrivals_are_measured=True) for round in (1, 2, 3, 4)] == [[1], [], [], [2, 3, 4]]
    round_of(one, 1, a=1)
    assert measurements.look(1) == 0
    evaluated(one, 1, 0.25)
    evaluated(one, 2, 0.5)
    assert measurements.look(1) == 2
    assert one.record(metrics_key(2))["metrics"] == {"accuracy": 0.5}
    round_of(one, 2, a=2)
    round_of(one, 3, b=1)
    assert still_due(one, [2, 3, 4]) == [3, 4]


def test_a_state_that_was_forgotten_before_it_was_measured_is_passed_over() -> None:
    one = federation(rounds=3)
    round_of(one, 1, a=1)
    round_of(one, 2, a=2)
    one.store.delete(state_key(1), state_key(2))
    evaluated(one, 3, 0.75)
    assert still_due(one, [1, 2, 3]) == [3]
    assert Measurements(one, ["worker-0"], 1).look(2) == 3
