"""The replies to a round that is closed by those that arrive first, taken as they come."""

from typing import Any

from fl_core.codec import Record, sha256
from fl_core.flight import tasks_in_flight
from fl_core.merging import Merging, staleness_of
from fl_core.reply import NO_REPLY, Unacceptable, checked
from fl_core.run_folder import Run, plan_key
from fl_core.types import ModelUpdate, Task
from fl_core.worker import key_of


class Arrivals:
    """What has arrived of the clients in flight: `buffer_size` good replies at most, each read and checked once. It has state because replies come one by
    one; who looks anew takes those that are there, the oldest first."""

    def __init__(self, run: Run, plan: Record) -> None:
        self._run, self._plan, self._exchange = run, plan, run.strategy.exchanges[0]
        self._expected = self._exchange.expects(run.state(plan["round"]))
        self._merging = Merging(self._exchange.form)
        self._missing = tasks_in_flight(run, plan)
        self._replies: dict[str, str] = {}
        self._clients: dict[str, Any] = {}
        self._bases: dict[str, int] = {}
        self._left_out: list[Record] = []

    def look(self) -> bool:
        """Takes what is there by now; True once the buffer is full or nobody is missing."""
        for task in self._there():
            if self._is_full():
                break
            self._missing.remove(task)
            self._take(task)
        return self._is_full() or not self._missing

    def decided(self) -> tuple[Record, ModelUpdate]:
        """The close record and its update. Where the buffer is not full, whoever has not arrived is left out: the wait for them is over. Otherwise they stay
        in flight, but those whom the next round would find too old."""
        self.look()
        round = self._plan["round"]
        late = [(task, self._why_late(task)) for task in self._missing]
        record = {
            "run": self._run.name, "round": round, "plan": self._run.digest(plan_key(round)), "replies": self._replies,
            "clients": dict(sorted(self._clients.items())), "bases": self._bases,
            "left_out": self._left_out + [_left_out(task, why) for task, why in late if why],
        }  # fmt: skip
        return record, self._merging.update(tuple(record["clients"]), len(self._run.population.clients), staleness_of(record))

    def _is_full(self) -> bool:
        return len(self._clients) >= self._run.strategy.buffer_size

    def _there(self) -> list[Task]:
        folders = {f"rounds/{task.round:04d}/{task.exchange}/" for task in self._missing}
        there = {key for folder in folders for key in self._run.store.list(folder)}
        return [task for task in self._missing if key_of(task) in there]

    def _take(self, task: Task) -> None:
        """Adds a good reply; a client whose reply is refused, or says that it failed, is left out."""
        key, (client,) = key_of(task), task.clients
        data = self._run.store.get(key)
        begun = self._run.record(plan_key(task.round))
        try:
            tensors, reply = checked(self._run, begun, self._exchange.form, self._expected, task.clients, data, key)
        except Unacceptable as error:
            self._left_out.append(_left_out(task, str(error)))
            return
        if client in reply["failures"]:
            self._left_out.append(_left_out(task, reply["failures"][client]))
            return
        self._merging.add(tensors, reply)
        self._replies[key], self._bases[client] = sha256(data), task.round
        self._clients[client] = {**reply["clients"][client]["metrics"], "staleness": float(self._plan["round"] - task.round)}

    def _why_late(self, task: Task) -> str | None:
        """Why a client that has not arrived is left out, None where it stays in flight."""
        if not self._is_full():
            return NO_REPLY
        age, most = self._plan["round"] + 1 - task.round, self._run.strategy.staleness_max
        return f"it started from round {task.round} and would be {age} rounds old in the next; strategy.staleness_max is {most}" if age > most else None


def _left_out(task: Task, reason: str) -> Record:
    return {"client": task.clients[0], "worker": task.worker, "reason": reason}
