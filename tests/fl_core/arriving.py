"""A federation of four clients whose arrivals are measured, and the test says who arrives when."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import yaml

from fl_core import scheduler, server
from fl_core.codec import Record, decode_tensors
from fl_core.flight import tasks_in_flight
from fl_core.run_folder import Run, evaluation_key, plan_key, state_key
from fl_core.strategies.fed_buff import fed_buff
from fl_core.strategy import Strategy
from fl_core.types import Client, Task
from fl_core.worker import key_of, train_part
from tests.fl_core.harness import JOB, opener, person, small_run, three

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3)), person("c", three(5, 0, -5)), person("d", three(7, 0, -7))]
START = three(0, 0, 0)
STARTS = {1: ["a", "b"], 2: ["a"], 3: ["c"], 4: ["a"], 5: ["d"]}
"""Two are in flight, one a round: b is slow."""


def starting(rounds: Mapping[int, Sequence[str]], buffer_size: int = 1, in_flight: int = 2, staleness_max: int = 10) -> Strategy:
    """FedBuff with measured arrivals whose starts are given."""
    strategy = fed_buff(buffer_size, in_flight, staleness_max, arrivals="measured")
    return replace(strategy, select=lambda draw: rounds.get(draw.round, []))


def federation(strategy: Strategy | None = None, workers: int = 1, **changes: object) -> Run:
    """A federation of four clients; its job names the strategy, because who verifies it knows no more."""
    one = strategy or starting(STARTS)
    named = {"name": "fed_buff", "arrivals": "measured", "buffer_size": one.buffer_size or 1, "staleness_max": one.staleness_max}
    return small_run(one, PEOPLE, START, workers, yaml.safe_dump({**yaml.safe_load(JOB), "strategy": named, "keep_updates": "all", **changes}))


def again(run: Run) -> Run:
    """The same run as another process sees it, which has read nothing yet."""
    return Run(run.name, run.job, run.store, run.private, run.given)


def task_of(run: Run, client: str, base: int) -> Task:
    plan = run.record(plan_key(base))
    (found,) = (task for task in tasks_in_flight(run, plan) if task.clients == (client,) and task.round == base)
    return found


def arrive(run: Run, client: str, base: int, people: Sequence[Client] = PEOPLE, leave_out: Mapping[str, str] | None = None) -> str:
    """The client that started in the round `base` hands in its reply."""
    task = task_of(run, client, base)
    train_part(run, task, opener(people), leave_out or {})
    return key_of(task)


def round_of(run: Run, round: int, **arrivals: int) -> Record:
    """A whole round in which these clients arrive, each from the round in which it started."""
    scheduler.plan(run, round)
    for client, base in arrivals.items():
        arrive(run, client, base)
    closed = server.close(run, round)
    assert closed is not None
    return closed


def reasons(closed: Record) -> dict[str, str]:
    return {entry["client"]: entry["reason"] for entry in closed["left_out"]}


def forge(run: Run, key: str, **changes: object) -> None:
    """Puts another reply in the place of one, signed by the worker itself."""
    tensors, record = decode_tensors(run.store.get(key), key)
    plain = {word: value for word, value in record.items() if word not in ("format", "tensors", "signature", "signer")}
    run.store.delete(key)
    run.put_tensors(key, {name: np.asarray(changes.get("tensor", value)) for name, value in tensors.items()}, {**plain, **changes.get("record", {})})  # type: ignore[dict-item]


def evaluated(run: Run, round: int, accuracy: float) -> None:
    """Worker-0 has measured the round's first state."""
    test = {"examples": 4, "metrics": {"accuracy": accuracy}}
    run.put(evaluation_key(round, "worker-0"), {"round": round, "worker": "worker-0", "clients": {}, "test": test, "state": run.digest(state_key(round))})
