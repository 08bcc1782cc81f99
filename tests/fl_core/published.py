"""Finished runs to publish: one client who trains three numbers for one round, in dicts, its accuracy as the test says; no Paddle."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fl_core import runner, scheduler
from fl_core.codec import Record, encode_tensors
from fl_core.job import Job, parse_job
from fl_core.pool import Call
from fl_core.run_folder import Run, evaluation_key, state_key
from fl_core.store import DictStore, Store
from fl_core.strategies.fed_avg import fed_avg
from fl_core.types import Weights
from tests.fl_core.harness import person, play, three

JOB = "{format: 1, name: small, program: fl_core.programs.digits:program, data: digits, rounds: 1, publish: {metric: accuracy}}"
X = {"dtype": "float32", "shape": [2]}


class FakePool:
    """Stands in for the training processes where a run begins: the first weights are zeros, and the data have the given fingerprint."""

    processes = 1

    def __init__(self, fingerprint: str = "new") -> None:
        self._fingerprint = fingerprint

    def about(self, context: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> None:
        pass

    def run(self, calls: Sequence[Call]) -> Iterator[tuple[Call, Record]]:
        for call in calls:
            yield call, getattr(self, call.operation)(**call.arguments)

    def first_weights(self, path: str) -> Record:
        Path(path).write_bytes(encode_tensors(three(0, 0, 0), {}))
        return {"numerics": {}, "better": {"score": "higher"}, "trainable": ["b", "w"]}

    def card(self, worker: str) -> Record:
        return {"worker": worker, "clients": ["a"], "sizes": 1, "test": 1, "fingerprint": self._fingerprint, "x": X}


def small_job(*overrides: str) -> Job:
    return parse_job(JOB, overrides)


def begun(root: Store | None, name: str, job: Job | None = None, *, fingerprint: str = "new") -> Run:
    """A run that has its first state."""
    one = Run(name, job or small_job(), DictStore({}), DictStore({}), {"strategy": fed_avg()}, root)
    runner.begin(one, FakePool(fingerprint))  # type: ignore[arg-type]
    return one


def trained(root: Store | None, name: str, job: Job | None = None, *, fingerprint: str = "new", target: Weights | None = None, **metrics: float) -> Run:
    """A run that is trained and measured, but not finished; `target` is what its client wants the three numbers to be."""
    one = begun(root, name, job, fingerprint=fingerprint)
    if not scheduler.plan(one, 1)["finished"]:
        play(one, [person("a", target or three(1, 2, 3))])
    last = one.last_round()
    measured = {"examples": 1, "metrics": metrics or {"accuracy": 0.5}}
    one.put(evaluation_key(last, "worker-0"), {"round": last, "worker": "worker-0", "state": one.digest(state_key(last)), "clients": {}, "test": measured})
    return one


def published(root: Store | None, name: str, job: Job | None = None, **more: Any) -> Record:
    """What became of the model of such a run once it finished."""
    summary = runner.finish(trained(root, name, job, **more), {"seconds": 1.0})
    return dict(summary["published"])
