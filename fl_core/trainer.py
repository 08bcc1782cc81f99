"""A training process, forked by the nursery: answers calls that come as JSON over its connection, and ends with it. An operation is a function below."""

import json
import os
import select
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from multiprocessing.connection import Connection
from pathlib import Path

import cloudpickle
import numpy as np

from fl_core import learning
from fl_core.batched import CLIENTS_AT_ONCE, Groups, Losses
from fl_core.codec import Record, decode_tensors, encode_tensors
from fl_core.data import open_data, split_held_out
from fl_core.errors import FederationError, InputError
from fl_core.federation import Household, make_card, open_household, worker_section
from fl_core.gate import check_measured
from fl_core.job import Job, parse_bundle, parse_job
from fl_core.program import Program, check_fits, check_metric, load_program
from fl_core.run_folder import Run, open_at, plan_key
from fl_core.store import open_private, open_store
from fl_core.types import Client, Correction, Examples, FederatedData, LocalWork, Task, Trained, Weights
from fl_core.worker import tasks_of, train_part

Say = Callable[[str], None]
Halves = Callable[[str], tuple[Examples, Examples | None]]


class Opened:
    """A job's data as this process has opened them, each once: what the workers share, and what each holds. It has state because opening takes seconds."""

    def __init__(self, job: Job, data: FederatedData | None = None) -> None:
        self._job, self._data = job, data
        self._households: dict[str, Household] = {}

    def household(self, name: str) -> Household:
        if name not in self._households:
            if self._data is None and worker_section(self._job, name).data is None:
                self._data = open_data(self._job, self._job.data)
            self._households[name] = open_household(self._job, name, self._data)
        return self._households[name]


class Home:
    """What a training process keeps of one run: job, program, model, data; each built when first asked for, once."""

    def __init__(self, context: Record) -> None:
        self._context = context
        self._given = cloudpickle.loads(Path(context["given"]).read_bytes()) if "given" in context else {}

    @cached_property
    def job(self) -> Job:
        """The job as this house reads it: where it has a copy of its own, that one says which data are opened."""
        if "bundle" in self._context:
            return parse_bundle(self._context["bundle"])
        return parse_job(self._context["house"], code=self.run.job.code) if "house" in self._context else self.run.job

    @cached_property
    def run(self) -> Run:
        """The run of the manifest that the parent checked: what has been put in its place since is not run."""
        context = self._context
        return open_at(open_store(context["store"]), open_private(context["private"]), pin=context["manifest"], given=self._given)

    @property
    def brought_a_program(self) -> bool:
        """Whether the program was handed in as a Python object, whatever the job names."""
        return "program" in self._given

    @cached_property
    def program(self) -> Program:
        return self._given.get("program") or load_program(self.job)

    @cached_property
    def learner(self) -> learning.Learner:
        return learning.Learner(self.program, self.job.optimizer, self.job.seed_for("init"))

    @cached_property
    def opened(self) -> "Opened":
        if self._given or "bundle" in self._context:
            return Opened(self.job, self._given.get("data"))
        return _take_over(self.job, self._context["turn"]) or Opened(self.job)

    def household(self, name: str) -> Household:
        return self.opened.household(name)

    def halves(self, household: Household, client: str) -> tuple[Examples, Examples | None]:
        """A client's training part and its held-out part, None where the job holds nothing out."""
        examples = household.open(client)
        if not self.job.data.held_out:
            return examples, None
        return split_held_out(self.job, client, examples, self.job.data.held_out)


def ping(home: Home, say: Say) -> Record:
    """Answers, which shows that the process lives."""
    return {}


def card(home: Home, say: Say, worker: str) -> Record:
    household = home.household(worker)
    record = make_card(home.job, worker, household)
    if len(household.clients) and not home.brought_a_program:
        check_fits(home.job, record)
    if home.job.engine == "batched":
        _together(home)
    if len(household.clients):
        measured = home.learner.rehearse(home.halves(household, household.clients[0])[0])
        for metric in home.job.stop_when:
            if measured is not None:
                check_metric(metric, measured)
            home.program.direction(metric)
        if home.job.publish:
            if measured is not None:
                check_measured(home.job.publish.metric, _evaluated(measured, home.job.evaluate.on))
            home.program.direction(home.job.publish.metric)
    return record


def open_ahead(home: Home, say: Say, worker: str) -> Record:
    """Opens a worker's data before anybody is trained on them."""
    home.household(worker)
    return {}


def _evaluated(measured: Sequence[str], on: str) -> list[str]:
    """The names that an evaluation gives to what the program measures."""
    figures = [] if on == "test" else ["held_out", "p10", "p50", "p90"]
    return [*measured, *(f"{name}_{figure}" for name in measured for figure in figures)]


def first_weights(home: Home, say: Say, path: str) -> Record:
    """Writes the model's first weights to a path; gives the numerics of this process."""
    Path(path).write_bytes(encode_tensors(home.learner.weights(), {}))
    return {"numerics": learning.numerics(), "better": dict(home.program.better), "trainable": sorted(home.learner.trainable)}


def export(home: Home, say: Say, model: str, path: str, x: Record | None) -> Record:
    """Writes a model file's weights for plain Paddle, or with `x`, the dtype and shape of an example, for Paddle Inference."""
    weights, _ = decode_tensors(Path(model).read_bytes(), f"'{model}'")
    if x is None:
        learning.save_weights(home.program, weights, path)
    else:
        learning.save_for_inference(home.program, weights, path, x)
    return {}


def train(home: Home, say: Say, round: int, worker: str, part: int, exchange: int, skip: dict[str, str], plan: str) -> Record:
    """`plan` is the round's plan as the caller has read it, empty where it is too long to be carried."""
    start = time.perf_counter()
    if plan:
        home.run.know(plan_key(round), plan.encode())
    household = home.household(worker)
    name = home.run.strategy.exchanges[exchange].name
    task = tasks_of(home.run.record(plan_key(round)), name, [worker])[part]
    halves: Halves = partial(home.halves, household)
    groups = None
    if home.job.engine == "batched":
        halves = lru_cache(CLIENTS_AT_ONCE + 1)(halves)  # each client is opened once, for its group and for its own turn
        groups = _groups(home, halves, task, skip)
    train_part(home.run, task, lambda client, r, state: _open_client(home, halves, client, r, state, groups), skip, say, exchange)
    return {"seconds": time.perf_counter() - start}


def _together(home: Home) -> Losses:
    """The losses of many clients at a time; InputError where the job's program or optimizer does not allow the batched engine."""
    together = home.program.together
    if together is None:
        raise InputError(f"engine is 'batched', but the program '{home.job.program.name}' has no `together`; give it one, or leave the engine out.")
    if not home.learner.is_plain_sgd:
        raise InputError("engine is 'batched', which trains every weight by plain SGD; name SGD with a learning rate alone, or leave the engine out.")
    return together


def _groups(home: Home, halves: Halves, task: Task, skip: Mapping[str, str]) -> Groups:
    """The task's clients in groups that are trained at a time."""
    rate = home.learner.learning_rate * home.job.optimizer.rate_factor(task.round, home.job.rounds)
    clients = [client for client in task.clients if client not in skip]
    return Groups(_together(home), rate, clients, lambda name: (halves(name)[0], home.job.seed_for("train", task.round, name)))


def _open_client(
    home: Home, halves: Halves, name: str, round: int, optimizer_state: Weights, groups: Groups | None = None
) -> tuple[Client, Callable[[], Weights]]:
    learner = home.learner
    examples, held_out = halves(name)
    left: dict[str, Weights] = {"state": optimizer_state}
    seed, rate = home.job.seed_for("train", round, name), home.job.optimizer.rate_factor(round, home.job.rounds)
    around = home.job.evaluate.around_training

    def fit(weights: Weights, work: LocalWork, correction: Correction | None = None) -> Trained:
        before = _means(learner, weights, held_out, "before_") if around else {}
        grouped = groups.fit(name, weights, work) if groups and correction is None else None
        trained, left["state"] = (grouped, {}) if grouped else learner.fit(weights, examples, work, seed, correction, left["state"], rate)
        after = _means(learner, {n: weights[n] + move for n, move in trained.move.items()}, held_out, "after_") if around else {}
        return Trained(trained.move, trained.examples, trained.steps, {**trained.metrics, **before, **after})

    client = Client(
        name, len(examples), fit, learner.learning_rate * rate, learner.trainable,
        loss=lambda weights: learner.loss(weights, examples), seed=home.job.seed_for("strategy", round, name),
    )  # fmt: skip
    return client, lambda: left["state"] if home.job.optimizer.state == "keep" else {}


def _means(learner: learning.Learner, weights: Weights, examples: Examples | None, prefix: str) -> dict[str, float]:
    if examples is None:
        return {}
    found = _measure(learner, weights, examples)
    return {f"{prefix}{name}": value / found.examples for name, value in found.sums.items()}


def _measure(learner: learning.Learner, weights: Weights, examples: Examples) -> learning.Sums:
    """The metrics of the weights; FederationError where one is NaN or Inf, which no record can hold."""
    found = learner.evaluate(weights, examples)
    for name, value in found.sums.items():
        if not np.isfinite(value):
            raise FederationError(f"The program's {name} is {value} on {found.examples} examples; the model diverged, or {name} is not defined there.")
    return found


def evaluate_test(home: Home, say: Say, round: int, worker: str, start: int, stop: int) -> Record:
    test = home.household(worker).test()
    if test is None:
        raise InputError("The data have no test set.")
    found = _measure(home.learner, home.run.state(round).weights, test.take(slice(start, stop)))
    for metric in home.job.stop_when:
        check_metric(metric, found.sums)
    return {"sums": dict(found.sums), "examples": found.examples}


def evaluate_held_out(home: Home, say: Say, round: int, worker: str, clients: list[str]) -> Record:
    household, weights = home.household(worker), home.run.state(round).weights
    figures: Record = {}
    for client in clients:
        say(client)
        _, held_out = home.halves(household, client)
        assert held_out is not None
        found = _measure(home.learner, weights, held_out)
        for metric in home.job.stop_when:
            check_metric(metric, found.sums)
        figures[client] = {"examples": found.examples, "metrics": {name: value / found.examples for name, value in found.sums.items()}}
    return {"clients": figures}


OPERATIONS: dict[str, Callable[..., Record]] = {
    function.__name__: function for function in (ping, card, open_ahead, first_weights, export, train, evaluate_test, evaluate_held_out)
}


@lru_cache(maxsize=4)
def _home(context: str) -> Home:
    return Home(json.loads(context))


def _take_over(job: Job, turn: int) -> Opened | None:
    """What this process opened to check the job, where that was the turn before."""
    checked = vars(_home(json.dumps({"bundle": job.bundle(), "turn": turn - 1}, sort_keys=True)))
    opened: Opened | None = checked.pop("opened", None)
    return opened


def serve(connection: Connection) -> None:
    """Answers calls until the connection closes; a thread watches it, so that work that nobody waits for ends at once."""
    lock = threading.Lock()

    def tell(message: Record) -> None:
        with lock:
            connection.send_bytes(json.dumps(message).encode())

    threading.Thread(target=_end_with, args=(connection.fileno(),), daemon=True).start()
    tell({"pid": os.getpid()})
    while True:
        try:
            call = json.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            home = _home(json.dumps(call["context"], sort_keys=True))
            result = OPERATIONS[call["operation"]](home, lambda client: tell({"at": client}), **call["arguments"])
            tell({"result": result})
        except FederationError as error:
            tell({"kind": type(error).__name__, "error": str(error)})
        except Exception as error:  # whatever it is, the parent must hear of it
            traceback.print_exc()
            tell({"kind": "FederationError", "error": f"{type(error).__name__}: {error}"})


def _end_with(number: int) -> None:
    """Ends the process when the other end of the connection closes, even in the middle of a call."""
    poll = select.poll()
    poll.register(number, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    poll.poll()
    os._exit(1)
