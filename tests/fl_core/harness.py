"""A federation small enough for a sheet of paper: a few clients, three numbers, everything in dicts, no Paddle."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from fl_core import generator, scheduler, server
from fl_core.job import parse_job
from fl_core.run_folder import Run, plan_key
from fl_core.store import DictStore
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy
from fl_core.types import Client, Correction, Fit, LocalWork, RoundState, Trained, Weights
from fl_core.worker import OpenClient, tasks_of, train_part

JOB = "{format: 1, name: small, program: fl_core.programs.digits:program, data: digits, rounds: 9, quorum: 0}"
RATE = 0.5


def three(*numbers: float) -> Weights:
    """A model of three trainable numbers, two in a row of `w` and one in `b`."""
    return {"w": np.array([numbers[:2]], np.float32), "b": np.array(numbers[2:], np.float32)}


def descend(target: Weights, examples: int = 1, rate: float = RATE, steps: int | None = None) -> Fit:
    """A fake Fit: SGD on |weights - target|**2 / 2, whose gradient is weights - target, with the correction added; one step an epoch unless `steps`
    says otherwise. What the target lacks stays where it is."""

    def fit(weights: Weights, work: LocalWork, correction: Correction | None = None) -> Trained:
        now = {name: value.astype(np.float64) for name, value in weights.items()}
        more = correction or Correction()
        done = steps or work.steps or work.epochs
        for _ in range(done):
            for name in target:
                gradient = now[name] - target[name]
                if name in more.towards:
                    gradient = gradient + more.pull * (now[name] - more.towards[name])
                gradient = gradient + more.shift.get(name, np.float64(0))
                now[name] = now[name] - rate * gradient
        move = {name: (now[name] - weights[name]).astype(weights[name].dtype) for name in weights}
        return Trained(move, examples, done, {"loss": distance(weights, target), "seen": float(examples)})

    return fit


def distance(weights: Weights, target: Weights) -> float:
    """|weights - target|**2 / 2."""
    return float(sum(np.sum((weights[name].astype(np.float64) - target[name]) ** 2) for name in target)) / 2


def person(name: str, target: Weights, examples: int = 1, rate: float = RATE, steps: int | None = None) -> Client:
    """A client who wants the weights to be its target."""
    return Client(
        name, examples, descend(target, examples, rate, steps), rate, frozenset(target), loss=lambda weights: distance(weights, target), seed=len(name)
    )


def small_run(strategy: Strategy, people: Sequence[Client], start: Weights, workers: int = 1, job: str = JOB, trainable: Sequence[str] | None = None) -> Run:
    """A run that begins at the weights `start`, its clients dealt to the workers in turn."""
    parsed = parse_job(job, [f"federation.workers={workers}"])
    run = Run("small", parsed, DictStore({}), DictStore({}), {"strategy": strategy})
    names = list(start) if trainable is None else trainable
    state = RoundState(1, start, strategy.init({name: start[name] for name in names}))
    cards: dict[str, dict[str, Any]] = {}
    for place, worker in enumerate(parsed.workers):
        held = sorted(people, key=lambda client: client.name)[place::workers]
        cards[worker.name] = {"worker": worker.name, "clients": [c.name for c in held], "sizes": [c.examples for c in held], "test": 0}
    generator.write(run, state, {"better": {}, "trainable": sorted(names)}, cards)
    return run


def opener(people: Sequence[Client]) -> OpenClient:
    """Opens these clients in this process; their optimizers remember nothing."""
    by_name = {client.name: client for client in people}

    def open_client(name: str, round: int, optimizer_state: Weights) -> tuple[Client, Callable[[], Weights]]:
        return by_name[name], dict

    return open_client


def play(run: Run, people: Sequence[Client], round: int = 1, leave_out: Mapping[str, str] | None = None) -> RoundState:
    """One whole round through scheduler, worker and server; gives the next state."""
    plan = scheduler.plan(run, round)
    for place, exchange in enumerate(run.strategy.exchanges):
        for task in tasks_of(plan, exchange.name, list(plan["workers"])):
            train_part(run, task, opener(people), leave_out or {}, exchange=place)
        if place + 1 < len(run.strategy.exchanges):
            server.answer(run, round, place)
    server.aggregate(run, round, len(run.strategy.exchanges) - 1)
    return run.state(round + 1)


def replies(run: Run, round: int = 1) -> dict[str, bytes]:
    """The bytes of a round's replies by key."""
    return {key: bytes(run.store.get(key)) for key in run.store.list(f"rounds/{round:04d}/") if key.endswith("safetensors") and "state" not in key}


def tasks(run: Run, round: int = 1, exchange: int = 0) -> list[Any]:
    """The tasks of a planned round."""
    plan = run.record(plan_key(round))
    return tasks_of(plan, run.strategy.exchanges[exchange].name, list(plan["workers"]))


def numbers(weights: Weights, *names: str) -> list[float]:
    """The numbers of `w` and `b` (or of the given names), one after the other."""
    return [float(number) for name in names or ("w", "b") for number in np.asarray(weights[name]).reshape(-1)]


PEOPLE = [person("a", three(2, 0, 0), 1), person("b", three(0, 2, 0), 1), person("c", three(0, 0, 2), 2)]
START = three(0, 0, 0)


def three_clients(strategy: Strategy | None = None, workers: int = 3, **changes: Any) -> Run:
    """A run of three clients with 1, 1 and 2 examples, each at a worker of its own unless `workers` says otherwise."""
    return small_run(strategy or fed_avg(), PEOPLE, START, workers, yaml.safe_dump({**yaml.safe_load(JOB), **changes}))


def replied(run: Run, *, without: str = "") -> None:
    """Round 1 is planned and everybody has replied, but for the worker `without`."""
    scheduler.plan(run, 1)
    for task in tasks(run):
        if task.worker != without:
            train_part(run, task, opener(PEOPLE), {})
