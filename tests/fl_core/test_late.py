"""A worker that falls behind goes on with the newest round, and what it leaves in closed ones is removed; training is a fake."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest

from fl_core import live, scheduler, server
from fl_core.errors import KeyMissing
from fl_core.lease import Leases
from fl_core.live import work
from fl_core.pool import Call, Pool
from fl_core.run_folder import Run, close_key, plan_key, state_key
from fl_core.seat import Seat, measure
from fl_core.waiting import Rhythm
from fl_core.worker import key_of, tasks_of, train_part
from tests.fl_core.harness import PEOPLE, opener, replies, tasks, three_clients


def again(run: Run) -> Run:
    """The same run as another process sees it, which has read nothing yet."""
    return Run(run.name, run.job, run.store, run.private, run.given)


class Trainer:
    """Stands in for the training processes of worker-2; what happens to the rest of the federation before each call is the test's to say."""

    processes = 1

    def __init__(self, run: Run, before: Callable[[int], None] = lambda round: None) -> None:
        self._run, self._before, self.trained = run, before, list[int]()

    def about(self, context: Any) -> None:
        pass

    def run(self, calls: Sequence[Call]) -> Iterator[tuple[Call, Any]]:
        for call in calls:
            one, round = again(self._run), call.arguments["round"]
            self._before(round)
            try:
                train_part(one, tasks_of(one.record(plan_key(round)), "train", ["worker-2"])[0], opener(PEOPLE), {})
            except KeyMissing as error:
                yield call, error
                continue
            self.trained.append(round)
            yield call, {"seconds": 0.0}


def close(run: Run, round: int) -> None:
    """The others reply, and the server closes the round without worker-2 and plans the next."""
    for task in tasks(run, round):
        if task.worker != "worker-2":
            train_part(run, task, opener(PEOPLE), {})
    server.close(run, round)
    scheduler.plan(run, round + 1)


def work_on(run: Run, pool: Trainer) -> int:
    return work("small", run.store, run.private, "worker-2", cast(Pool, pool), job=run.job, start_seconds=1, idle_seconds=30)


def seat_of(run: Run, pool: Trainer) -> Seat:
    return Seat(again(run), "worker-2", cast(Pool, pool), Leases(run.private, run.store.uri, seconds=-1), True, 30, Rhythm())


@pytest.mark.parametrize("are_states_kept", [True, False])
def test_a_worker_that_is_late_trains_no_closed_round_but_the_newest(are_states_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEHIND_SECONDS", 0.0)
    run = three_clients(rounds=5)
    scheduler.plan(run, 1)

    def stall(round: int) -> None:
        """While worker-2 is in round 1 the others come to round 4, and while it is there to the end."""
        for other in {1: [1, 2, 3], 4: [4, 5]}.get(round, []):
            close(run, other)
        if not are_states_kept:
            run.store.delete(state_key(1))

    pool = Trainer(run, stall)
    assert work_on(run, pool) == 5
    assert pool.trained == ([1, 4] if are_states_kept else [4])


def test_between_two_parts_a_worker_asks_whether_its_round_is_closed() -> None:
    run = three_clients(federation={"parts": 3}, workers=1)
    plan = scheduler.plan(run, 1)
    asked: list[int] = []

    class Slow(Trainer):
        """While its first part is trained, the round is closed."""

        def run(self, calls: Sequence[Call]) -> Iterator[tuple[Call, Any]]:
            for call in calls:
                asked.append(call.arguments["part"])
                server.close(run, 1)
                yield call, {"seconds": 0.0}

    seat = Seat(again(run), "worker-0", cast(Pool, Slow(run)), Leases(run.private, run.store.uri), False, 30, Rhythm())
    live._take_part(seat, plan)
    assert len(plan["workers"]["worker-0"]) == 3
    assert asked == [0]


def test_a_reply_that_a_server_come_back_removed_is_made_again() -> None:
    run = three_clients(quorum=1.0)
    scheduler.plan(run, 1)
    (task,) = (task for task in tasks(run) if task.worker == "worker-2")
    train_part(run, task, opener(PEOPLE), {"c": "raised OSError"})
    pool = Trainer(run)
    live._make_again(seat_of(run, pool), 1)
    assert pool.trained == [], "it is there"
    server.forget_failed_replies(again(run), 1)
    live._make_again(seat_of(run, pool), 1)
    assert pool.trained == [1]
    assert run.store.exists(key_of(task))
    close(run, 1)
    run.store.delete(key_of(task))
    live._make_again(seat_of(run, pool), 1)
    assert pool.trained == [1], "the round is closed"


def test_a_state_that_is_forgotten_while_it_is_measured_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    run = three_clients()

    def fail(run: Run, round: int, name: str, pool: Pool) -> None:
        raise KeyMissing(state_key(round))

    monkeypatch.setattr("fl_core.worker.measure", fail)
    with pytest.raises(KeyMissing):
        measure(seat_of(run, Trainer(run)), 1)
    run.store.delete(state_key(1))
    assert measure(seat_of(run, Trainer(run)), 1)


@pytest.mark.parametrize(("keep", "left"), [("all", [1, 2, 3]), ("last_round", [3]), ("none", [])])
def test_late_replies_to_closed_rounds_are_removed_as_the_others_are(keep: str, left: list[int]) -> None:
    run = three_clients(keep_updates=keep)
    scheduler.plan(run, 1)
    for round in (1, 2, 3):
        close(run, round)
        server.forget(run, round)
    for round in (1, 2, 3):
        (task,) = (task for task in tasks(run, round) if task.worker == "worker-2")
        train_part(run, task, opener(PEOPLE), {})
    server.forget(run, 3, late_ones=True)
    assert [round for round in (1, 2, 3) if replies(run, round)] == left
    assert run.store.exists(close_key(3))
