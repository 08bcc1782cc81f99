"""FL-Worker: trains its clients of a round, part by part, and evaluates states; asks a pool of training processes to do it.

A stage that is done already is found done. A client that fails by itself is left out with its reason; one whose process dies or hangs is tried again,
with the same bits, until its retries are spent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np

from fl_core import exact
from fl_core.codec import Record, decode_tensors, encode_tensors, under
from fl_core.errors import FederationError, InputError, TrainingError
from fl_core.federation import clients_of
from fl_core.job import Job
from fl_core.journal import journal
from fl_core.pool import Call, Died, Pool
from fl_core.run_folder import Run, card_key, close_key, evaluation_key, message_key, plan_key, reply_key, state_key
from fl_core.signing import make_key
from fl_core.strategy import Exchange, why_not_finite, why_unexpected
from fl_core.types import FIGURE_MAX, Client, ClientUpdate, RoundState, Task, Weights

HUNG_SECONDS = 3600.0
TEST_SLICE = 2048
CLIENTS_A_SLICE = 25
REASON_MAX = 300
CARRIED_BYTES_MAX = 65_536
ADDED_TO_CARDS = ("format", "public_key", "facts", "signer", "signature")
Heard = Callable[[Task], None]


class OpenClient(Protocol):
    """Opens a client for one round: what the strategy sees of it, and a function that gives its optimizer's state once it has trained."""

    def __call__(self, name: str, round: int, optimizer_state: Weights) -> tuple[Client, Callable[[], Weights]]: ...


def nobody_hears(task: Task) -> None:
    """For who does not merge replies while others are at work."""


def prepare(run: Run, worker: str, pool: Pool, facts: Mapping[str, Any] | None = None) -> Record:
    """Makes the worker's data card: schema, counts, a fingerprint and its public key, never rows; with `facts` of the program if it made the first state."""
    found = run.find(card_key(worker))
    if found is not None:
        return found
    card = call_until_done(run, pool, [Call("card", {"worker": worker})])[0]
    return run.put(card_key(worker), {**card, "public_key": make_key(run.private, worker), **({"facts": facts} if facts else {})})


def check_card(run: Run, worker: str, pool: Pool) -> None:
    """InputError where the worker's card in the store describes other data than are opened now."""
    laid_down, card = run.record(card_key(worker)), call_until_done(run, pool, [Call("card", {"worker": worker})])[0]
    if {key: value for key, value in laid_down.items() if key not in ADDED_TO_CARDS} != card:
        raise InputError(f"The card of '{worker}' in this run describes other data than are opened now; use another --run, for the cards of a run are fixed.")


def take_part(run: Run, round: int, workers: Sequence[str], pool: Pool, exchange: int = 0, heard: Heard = nobody_hears) -> list[str]:
    """Trains the parts of the round that these workers have not replied to yet; gives the keys of their replies."""
    plan = run.record(plan_key(round))
    if plan["finished"] or run.store.exists(close_key(round)):
        return []
    name = run.strategy.exchanges[exchange].name
    tasks = tasks_of(plan, name, workers)
    todo = [task for task in tasks if not run.store.exists(key_of(task))]
    for task in tasks:
        if task not in todo:
            journal(run, "found", round=round, stage=name, worker=task.worker, part=task.part)
    train_tasks(run, todo, pool, exchange, heard)
    return [key_of(task) for task in tasks]


def train_tasks(run: Run, tasks: Sequence[Task], pool: Pool, exchange: int = 0, heard: Heard = nobody_hears) -> None:
    """Trains these parts until each has its reply; who cannot be trained is left out in it. `heard` hears of each reply that is there."""
    attempts, todo = Attempts(run.job.retries), list(tasks)
    while todo:
        calls = [_train_call(run, task, attempts, exchange) for task in todo]
        again = []
        for call, outcome in pool.run(calls):
            task = todo[calls.index(call)]
            facts = {"round": task.round, "stage": task.exchange, "worker": task.worker, "part": task.part}
            if isinstance(outcome, Died):
                attempts.note(task, outcome)
                journal(run, "died", **facts, client=outcome.at, reason=outcome.reason)
                again.append(task)
            elif isinstance(outcome, FederationError):
                raise outcome
            else:
                journal(run, "done", **facts, seconds=outcome["seconds"])
                heard(task)
        todo = [task for task in again if not attempts.give_up(run, task, exchange)]


def tasks_of(plan: Record, exchange: str, workers: Sequence[str]) -> list[Task]:
    """The tasks that a plan gives to these workers."""
    return [Task(plan["round"], exchange, worker, part, tuple(clients)) for worker in workers for part, clients in enumerate(plan["workers"].get(worker, ()))]


def key_of(task: Task) -> str:
    return reply_key(task.round, task.exchange, task.worker, task.part)


def _train_call(run: Run, task: Task, attempts: "Attempts", exchange: int) -> Call:
    deadline = run.job.deadline_seconds or HUNG_SECONDS
    plan = bytes(run.read(plan_key(task.round))).decode()
    arguments = {
        "round": task.round, "worker": task.worker, "part": task.part, "exchange": exchange, "skip": attempts.left_out(task),
        "plan": plan if len(plan) <= CARRIED_BYTES_MAX else "",
    }  # fmt: skip
    return Call("train", arguments, deadline)


@dataclass
class Attempts:
    """Counts the deaths of each client's task in one round; it has state because deaths come one by one."""

    retries: int
    deaths: dict[str, list[str]] = field(default_factory=dict)

    def note(self, task: Task, died: Died) -> None:
        for client in [died.at] if died.at else task.clients:
            self.deaths.setdefault(client, []).append(died.reason)

    def left_out(self, task: Task) -> dict[str, str]:
        """The clients whose retries are spent, each with its reason."""
        reasons = {client: self.deaths.get(client, []) for client in task.clients}
        return {client: f"{died[-1]} ({len(died)} attempts)" for client, died in reasons.items() if len(died) > self.retries}

    def give_up(self, run: Run, task: Task, exchange: int) -> bool:
        """True where nobody of the task is left to try; its reply then says so, without a training process."""
        skip = self.left_out(task)
        if len(skip) < len(task.clients):
            return False
        train_part(run, task, _nobody, skip, exchange=exchange)
        return True


def _nobody(name: str, round: int, optimizer_state: Weights) -> tuple[Client, Callable[[], Weights]]:
    raise AssertionError("nobody is opened where everyone is left out")


def train_part(
    run: Run, task: Task, open_client: OpenClient, skip: Mapping[str, str], say: Callable[[str], None] = lambda client: None, exchange: int = 0
) -> None:
    """Trains the clients of one part in turn and writes the reply; what fails by itself is left out, client by client."""
    plan = run.record(plan_key(task.round))
    state, trip = run.state(task.round, plan["state"]), run.strategy.exchanges[exchange]
    message = read_message(run, task.round, exchange)
    unit = plan["weight_unit"] if trip.weigh == "examples" else exact.weight_unit(1.0, plan["clients"])
    folded = _Folded(trip, state, unit)
    bases, named = plan.get("bases", {}), states_of(plan, task.clients)
    earlier = {int(base): run.state(int(base), digest) for base, digest in named.items()}
    failures = dict(skip)
    for name in task.clients:
        if name in failures:
            continue
        say(name)
        memory = read_memory(run, name, task.round)
        try:
            client, optimizer_state = open_client(name, task.round, under(memory, "optimizer."))
            if name in bases:
                client = replace(client, staleness=task.round - bases[name])
            update, kept = trip.at_worker(client, earlier[bases[name]] if name in bases else state, under(memory, "strategy."), message)
        except FederationError as error:
            failures[name] = _reason(str(error))
            continue
        except Exception as error:  # the user's code may raise anything, and one client must not end the round
            failures[name] = _reason(f"raised {type(error).__name__}: {error}")
            continue
        failure = folded.why_not(update)
        if failure:
            failures[name] = _reason(failure)
            continue
        _write_memory(run, name, task.round, {f"strategy.{k}": v for k, v in kept.items()} | {f"optimizer.{k}": v for k, v in optimizer_state().items()})
        folded.add(name, update)
    record = {
        "run": run.name, "round": task.round, "exchange": task.exchange, "worker": task.worker, "part": task.part, "form": trip.form,
        "plan": run.digest(plan_key(task.round)), "clients": folded.clients, "failures": failures, **({"states": named} if named else {}),
    }  # fmt: skip
    run.put_tensors(key_of(task), folded.reply(), record)


def states_of(plan: Record, clients: Sequence[str]) -> dict[str, str]:
    """The digests of the earlier states that these clients of a plan start from, by round."""
    rounds = sorted({plan["bases"][client] for client in clients if client in plan.get("bases", {})})
    return {str(base): plan["states"][str(base)] for base in rounds}


def _reason(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= REASON_MAX else f"{line[: REASON_MAX - 1]}…"


class _Folded:
    """The replies of a part's clients, summed or side by side as the exchange's form says; it has state because sums run."""

    def __init__(self, exchange: Exchange, state: RoundState, unit: float) -> None:
        self._form, self._expected, self._unit = exchange.form, exchange.expects(state), unit
        self.tensors: dict[str, np.ndarray] = {}
        self.clients: dict[str, Record] = {}

    def why_not(self, update: ClientUpdate) -> str | None:
        unexpected = why_unexpected(update.move, self._expected)
        if unexpected:
            return unexpected
        for name, metric in update.metrics.items():
            if not abs(metric) <= FIGURE_MAX:
                return f"its {name} is {metric}"
        if self._form == "list":
            return why_not_finite(update.move, update.weight)
        return exact.why_not_summable(update.move, update.weight * self._unit)

    def reply(self) -> dict[str, np.ndarray]:
        """What is sent."""
        return exact.narrow(self.tensors) if self._form == "sum" else self.tensors

    def add(self, client: str, update: ClientUpdate) -> None:
        weight = exact.whole(update.weight * self._unit) if self._form == "sum" else float(update.weight)
        if self._form == "sum":
            if not self.tensors:
                self.tensors = exact.empty_totals(update.move)
            exact.add_move(self.tensors, update.move, update.weight * self._unit)
        else:
            place = len(self.clients)
            self.tensors |= {f"{place}.{name}": np.asarray(value) for name, value in update.move.items()}
        self.clients[client] = {"weight": weight, "metrics": {k: float(v) for k, v in update.metrics.items()}}


def read_message(run: Run, round: int, exchange: int) -> Weights:
    """What the server made of the exchange before; empty in the first."""
    if exchange == 0:
        return {}
    key = message_key(round, run.strategy.exchanges[exchange - 1].name)
    return run.tensors(key)[0]


def _memory_of(run: Run, client: str) -> str:
    return f"{run.memories}/{quote(client, safe='')}/"


def read_memory(run: Run, client: str, round: int) -> Weights:
    """The client's memory as of the last round before this one whose close record lists the client; empty where there is none."""
    versions = run.private.list(_memory_of(run, client))
    for key in reversed(versions):
        written = int(key.rpartition("/")[2].split(".")[0])
        if written < round and _counts(run, client, written, round):
            return decode_tensors(run.private.get(key), key)[0]
    return {}


def _counts(run: Run, client: str, written: int, before: int) -> bool:
    """Whether what a client wrote in a round was accepted: in that round, or where arrivals are measured in the one in which it arrived."""
    last = written + (run.strategy.staleness_max if run.strategy.buffer_size else 0)
    closes = ((round, run.find(close_key(round))) for round in range(written, min(last + 1, before)))
    return any(closed and client in closed["clients"] and closed.get("bases", {}).get(client, round) == written for round, closed in closes)


def _write_memory(run: Run, client: str, round: int, memory: Weights) -> None:
    if memory:
        run.private.put(f"{_memory_of(run, client)}{round:06d}.safetensors", encode_tensors(memory, {"client": client, "round": round}))


def evaluate(run: Run, round: int, workers: Sequence[str], pool: Pool) -> None:
    """Measures the state that `round` starts from: on the test set by the first worker of the roster, on each client's held-out part by its own."""
    if is_measured(run.job, round) and run.has(state_key(round)):
        for worker in workers:
            if not run.store.exists(evaluation_key(round, worker)):
                measure(run, round, worker, pool)


def measure(run: Run, round: int, worker: str, pool: Pool) -> None:
    """As `evaluate`, for one worker, whether that was done before or not."""
    calls = _evaluation_calls(run, round, worker)
    if calls:
        parts = call_until_done(run, pool, calls)
        run.put(evaluation_key(round, worker), {**merge_evaluations(round, worker, parts), "state": run.digest(state_key(round))})


def is_measured(job: Job, round: int) -> bool:
    """Whether the job asks for an evaluation of the state that this round starts from; the last state is always measured."""
    done = round - 1
    return done % job.evaluate.every_rounds == 0 or done >= job.rounds


def newly_due(job: Job, round: int, arrivals_are_measured: bool = False) -> list[int]:
    """The rounds whose first states must have been measured before this round is planned, and need not before the round before it.

    Only `stop_when` makes a plan rest on the newest metrics; otherwise a state is measured while the next is made, so that nobody waits for it. Where
    arrivals are measured nobody waits for the slowest, who may be the one that evaluates; what is not measured by then is waited for at the end.
    """
    last, before = (_last_due(job, one, arrivals_are_measured) for one in (round, round - 1))
    return [one for one in range(before + 1, last + 1) if is_measured(job, one)]


def _last_due(job: Job, round: int, arrivals_are_measured: bool) -> int:
    if job.stop_when or round <= 1 or round > job.rounds:
        return round
    return 1 if arrivals_are_measured else round - 1


def evaluators(run: Run) -> list[str]:
    """The workers that have something to evaluate."""
    return [section.name for section in run.job.workers if measures(run, section.name)]


def measures(run: Run, worker: str) -> bool:
    """Whether evaluations are this worker's to do."""
    on = run.job.evaluate.on
    if on != "held_out" and worker == run.job.workers[0].name:
        return True
    return on != "test" and bool(clients_of(run.record(card_key(worker))))


def _evaluation_calls(run: Run, round: int, worker: str) -> list[Call]:
    card, on = run.record(card_key(worker)), run.job.evaluate.on
    calls = []
    if on in ("test", "both") and worker == run.job.workers[0].name:
        if not card["test"]:
            raise InputError("evaluate.on is 'test', but the data of the first worker have no test set; give one, or evaluate on 'held_out'.")
        calls += [
            Call("evaluate_test", {"round": round, "worker": worker, "start": s, "stop": min(s + TEST_SLICE, card["test"])})
            for s in range(0, card["test"], TEST_SLICE)
        ]
    if on in ("held_out", "both"):
        clients = clients_of(card)
        groups = [clients[i : i + CLIENTS_A_SLICE] for i in range(0, len(clients), CLIENTS_A_SLICE)]
        calls += [Call("evaluate_held_out", {"round": round, "worker": worker, "clients": group}) for group in groups]
    return calls


def merge_evaluations(round: int, worker: str, parts: Sequence[Record]) -> Record:
    """Adds up the slices of the test set, in order, and lays the clients' held-out figures side by side."""
    test: dict[str, float] = {}
    examples, clients = 0, {}
    for part in parts:
        clients.update(part.get("clients", {}))
        if "sums" in part:
            examples += part["examples"]
            test = {name: test.get(name, 0.0) + value for name, value in part["sums"].items()}
    record: Record = {"round": round, "worker": worker}
    if examples:
        record["test"] = {"examples": examples, "metrics": {name: value / examples for name, value in test.items()}}
    return {**record, "clients": clients}


def call_until_done(run: Run, pool: Pool, calls: Sequence[Call]) -> list[Record]:
    """The results of the calls, in order; a call whose process dies is tried again, TrainingError once its retries are spent."""
    results: dict[int, Record] = {}
    todo = list(range(len(calls)))
    for _ in range(run.job.retries + 1):
        died: Any = None
        for call, outcome in pool.run([calls[i] for i in todo]):
            if isinstance(outcome, Died):
                died = outcome
            elif isinstance(outcome, FederationError):
                raise outcome
            else:
                results[calls.index(call)] = outcome
        todo = [i for i in todo if i not in results]
        if not todo:
            return [results[i] for i in range(len(calls))]
    raise TrainingError(f"The stage '{calls[todo[0]].operation}' {died.reason} in each of {run.job.retries + 1} attempts.")
