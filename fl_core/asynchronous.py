"""What server and workers do otherwise where arrivals are measured: nobody waits for the slowest, neither for a reply nor for an evaluation."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import SimpleQueue

from fl_core import server, worker
from fl_core.arrivals import Arrivals
from fl_core.codec import Record
from fl_core.errors import QuorumError, StoreError
from fl_core.flight import tasks_in_flight
from fl_core.journal import holding, let_out, staged
from fl_core.lease import Leases
from fl_core.pool import Pool
from fl_core.run_folder import Run, close_key, evaluation_key, metrics_key, plan_key, state_key
from fl_core.seat import STATUS_SECONDS, Seat, check_status, measure, unless_forgotten
from fl_core.summary import merge_metrics
from fl_core.types import Task
from fl_core.waiting import Rhythm, wait_until
from fl_core.worker import key_of

OnWorkerRound = Callable[[int, float], None]


# ---- the server -------------------------------------------------------------------------------------------------------------------------------


def close_by_arrivals(run: Run, plan: Record, replies: Rhythm, seconds: float) -> None:
    """Closes a round as soon as its buffer is full or nobody is missing. Once the seconds are over it closes with what is there, where the job has a deadline;
    QuorumError where it has none, or where that is too little."""
    round, arrivals = plan["round"], None
    if not run.store.exists(close_key(round)):
        with staged(run, "train", round):
            arrivals, in_time = _await_arrivals(run, plan, replies, seconds)
        if not in_time and run.job.deadline_seconds is None:
            raise QuorumError(f"Round {round} did not have {run.strategy.buffer_size} good replies after {seconds:g} s; are the workers running?")
    with staged(run, "close", round):
        server.close(run, round, arrivals)


def _await_arrivals(run: Run, plan: Record, replies: Rhythm, seconds: float) -> tuple[Arrivals, bool]:
    """What arrived until the round's buffer was full or nobody was missing, and whether that was in time."""
    arrivals = Arrivals(run, plan)

    def enough() -> bool:
        let_out(run)
        return arrivals.look()

    return arrivals, replies.wait_until(enough, seconds)


def still_due(run: Run, due: Sequence[int]) -> list[int]:
    """The rounds whose evaluation can still be waited for: their first state is there, and its metrics are not."""
    return [round for round in due if run.store.exists(state_key(round)) and not run.store.exists(metrics_key(round))]


class Measurements:
    """Merges the evaluations of a run whose rounds do not wait for them, in order; it has state because they come one by one."""

    def __init__(self, run: Run, evaluators: Sequence[str], round: int) -> None:
        self._run, self._evaluators, self._next, self._newest = run, evaluators, max(1, round - run.strategy.staleness_max), 0

    def look(self, round: int) -> int:
        """The newest round, up to the one after this, whose first state is measured; 0 where none is."""
        while self._next <= round + 1:
            if worker.is_measured(self._run.job, self._next) and self._run.store.exists(state_key(self._next)):
                if not all(self._run.store.exists(evaluation_key(self._next, name)) for name in self._evaluators):
                    break
                merge_metrics(self._run, self._next)
                self._newest = self._next
            self._next += 1
        return self._newest


# ---- a worker ---------------------------------------------------------------------------------------------------------------------------------


def work(run: Run, name: str, pool: Pool, idle_seconds: float, on_round: OnWorkerRound) -> int:
    """Takes part until the run ends, with each training process at a seat of its own, so that a slow client holds up no other; gives the number of rounds."""
    stop = threading.Event()

    def take_seat(single: Pool, tell: OnWorkerRound) -> int:
        own = replace(run)  # with a memory and a trail of its own
        leases = Leases(run.private, run.store.uri)
        seat = Seat(own, name, single, leases, worker.measures(own, name), idle_seconds, Rhythm())
        with single, leases.renewing(), holding(own, name):
            return Turns(seat, stop.is_set, tell).take()

    singles = pool.singles()
    first, *others = singles
    seats = [lambda: take_seat(first, on_round), *(lambda one=one: take_seat(one, lambda round, seconds: None) for one in others)]
    try:
        return max(side_by_side(seats))
    finally:
        stop.set()


def side_by_side(calls: Sequence[Callable[[], int]]) -> list[int]:
    """What the calls give, each in a thread; the first error is raised at once."""
    ended: SimpleQueue[int | BaseException] = SimpleQueue()

    def end(call: Callable[[], int]) -> None:
        try:
            ended.put(call())
        except BaseException as error:  # it is raised below, where the caller waits
            ended.put(error)

    for call in calls:
        threading.Thread(target=end, args=(call,), daemon=True).start()
    results = []
    for _ in calls:
        outcome = ended.get()
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


def oldest_unmeasured(run: Run, name: str, newest: int) -> int:
    """The oldest round whose first state this worker has yet to measure, however long it was away; the newest round where there is none before it."""
    due = (round for round in range(1, newest) if worker.is_measured(run.job, round))
    return next((round for round in due if not run.store.exists(evaluation_key(round, name)) and run.store.exists(state_key(round))), newest)


class Turns:
    """One seat's way through a run: it follows the plans, and between two plans measures states and trains clients in flight, the oldest first. It has
    state because plans come one by one."""

    def __init__(self, seat: Seat, must_stop: Callable[[], bool] = lambda: False, on_round: OnWorkerRound = lambda round, seconds: None) -> None:
        self._seat, self._run, self._must_stop, self._on_round = seat, seat.run, must_stop, on_round
        self._round = self._run.last_plan()
        self._plan: Record | None = None
        self._tasks: list[Task] = []
        self._passed: set[str] = set()
        self._unmeasured = oldest_unmeasured(self._run, seat.worker, self._round) if seat.measures else self._round
        self._begun = self._asked = time.monotonic()

    def take(self) -> int:
        """Takes turns until the run ends; gives the number of its rounds. StoreError where there was nothing to do for the seat's `idle_seconds`."""
        while not self._must_stop() and not (self._plan and self._plan["finished"]):
            if not wait_until(self.step, self._seat.idle_seconds):
                seconds = f"{self._seat.idle_seconds:g} s"
                raise StoreError(f"Nothing moved after round {self._round} in {self._run.store.uri} for {seconds}; is the server running?")
        return self._round - 1

    def step(self) -> bool:
        """Does the one thing that comes next; False where there is nothing to do now."""
        let_out(self._run)
        return self._must_stop() or self._follows() or self._measures() or self._trains()

    def _follows(self) -> bool:
        """Goes on to the next plan, where there is one."""
        ahead = self._round + (self._plan is not None)
        found = self._run.find(plan_key(ahead))
        now = time.monotonic()
        if found is None:
            if now - self._asked > STATUS_SECONDS:
                self._asked = now
                self._passed.clear()
                check_status(self._run)
            return False
        if self._plan is not None:
            self._on_round(self._round, now - self._begun)
        self._round, self._plan, self._begun = ahead, found, now
        self._tasks = [] if found["finished"] else [task for task in tasks_in_flight(self._run, found) if task.worker == self._seat.worker]
        self._passed.clear()
        self._seat.leases.forget()
        return True

    def _measures(self) -> bool:
        """Measures the oldest state that is due, where that is this worker's to do; one that was forgotten meanwhile is passed over."""
        newest = self._round + (self._plan is not None)
        if not self._seat.measures or self._unmeasured > newest:
            return False
        if worker.is_measured(self._run.job, self._unmeasured) and not self._was_measured():
            if not self._run.store.exists(state_key(self._unmeasured)):
                if self._unmeasured >= self._round:
                    return False
            elif not measure(self._seat, self._unmeasured):
                return False
        self._unmeasured += 1
        return True

    def _was_measured(self) -> bool:
        """Whether this worker measured the next state long ago; asked where it is behind, for leases say so of what is new."""
        return self._unmeasured < self._round and self._run.store.exists(evaluation_key(self._unmeasured, self._seat.worker))

    def _trains(self) -> bool:
        """Trains the oldest client in flight that has no reply and that no other process of the worker is at; who has or is, is asked after again with the
        next plan, or a few seconds later."""
        for task in self._tasks:
            if key_of(task) not in self._passed:
                self._passed.add(key_of(task))
                if self._train(task):
                    return True
        return False

    def _train(self, task: Task) -> bool:
        key = key_of(task)
        if self._run.store.exists(key) or not self._seat.leases.take(key):
            return False
        try:
            unless_forgotten(self._run, task.round, lambda: worker.train_tasks(self._run, [task], self._seat.pool))
        finally:
            self._seat.leases.done(key)
        return True
