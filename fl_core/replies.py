"""The replies to one exchange of a round, taken as they come: most are read, checked and merged while others are still at work."""

from collections.abc import Mapping
from typing import Any, Protocol

from fl_core.codec import Record, sha256
from fl_core.errors import KeyMissing
from fl_core.merging import Merging
from fl_core.reply import NO_REPLY, Unacceptable, checked
from fl_core.run_folder import Run, plan_key
from fl_core.strategy import Exchange
from fl_core.types import ModelUpdate, Task
from fl_core.worker import key_of, tasks_of


class Gathered(Protocol):
    """What has come of a round so far."""

    def decided(self) -> tuple[Record, ModelUpdate]:
        """Which replies are accepted, by digest, and who is left out and why; and the accepted ones as one update. The wait for others is over."""
        ...


class Replies:
    """What has come of the clients that a plan names, each reply read and checked once, in any order. It has state because replies come one by one."""

    def __init__(self, run: Run, plan: Record, exchange: Exchange) -> None:
        self._run, self._plan, self._exchange = run, plan, exchange
        self._tasks = tasks_of(plan, exchange.name, list(plan["workers"]))
        self._missing = {key_of(task): task for task in self._tasks}
        self._expected = exchange.expects(run.state(plan["round"]))
        self._merging = Merging(exchange.form)
        self._digests: dict[str, str] = {}
        self._clients: dict[str, Any] = {}
        self._reasons: dict[str, Mapping[str, str]] = {}

    def look(self) -> bool:
        """Takes what is there by now; True once nobody is missing."""
        for key in self._run.store.list(f"rounds/{self._plan['round']:04d}/{self._exchange.name}/"):
            if key in self._missing:
                self.take(self._missing[key])
        return not self._missing

    @property
    def missing_workers(self) -> list[str]:
        """Those whose replies are not all there."""
        return sorted({task.worker for task in self._missing.values()})

    def take(self, task: Task) -> None:
        """Takes the task's reply, where it is there and was not taken before; the clients of one that is refused are left out."""
        key = key_of(task)
        if key not in self._missing:
            return
        try:
            data = self._run.store.get(key)
        except KeyMissing:
            return
        del self._missing[key]
        try:
            tensors, reply = checked(self._run, self._plan, self._exchange.form, self._expected, task.clients, data, key)
        except Unacceptable as error:
            self._reasons[key] = dict.fromkeys(task.clients, str(error))
            return
        self._merging.add(tensors, reply)
        self._digests[key] = sha256(data)
        self._clients |= {client: figures["metrics"] for client, figures in reply["clients"].items()}
        self._reasons[key] = dict(sorted(reply["failures"].items()))

    def decided(self) -> tuple[Record, ModelUpdate]:
        for task in list(self._missing.values()):
            self.take(task)
        record = {
            "run": self._run.name, "round": self._plan["round"], "plan": self._run.digest(plan_key(self._plan["round"])),
            "replies": self._digests, "clients": dict(sorted(self._clients.items())), "left_out": self._late() + self._left_out(),
        }  # fmt: skip
        return record, self._merging.update(tuple(record["clients"]), len(self._run.population.clients))

    def _left_out(self) -> list[Record]:
        """Who is left out, in the order of the plan."""
        why = {key_of(task): self._reasons.get(key_of(task), dict.fromkeys(task.clients, NO_REPLY)) for task in self._tasks}
        return [{"client": client, "worker": task.worker, "reason": reason} for task in self._tasks for client, reason in why[key_of(task)].items()]

    def _late(self) -> list[Record]:
        """Who started too many rounds ago to be asked still, where the strategy plays asynchronous rounds."""
        round, most, worker_of = self._plan["round"], self._run.strategy.staleness_max, self._run.population.worker_of
        why = {
            c: f"it started {round - base} rounds ago, from round {base}; strategy.staleness_max is {most}" for c, base in self._plan.get("late", {}).items()
        }
        return [{"client": client, "worker": worker_of(client), "reason": reason} for client, reason in why.items()]
