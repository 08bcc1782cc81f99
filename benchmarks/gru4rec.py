"""Gru4Rec by PaddleFL's protocol: all sessions in one place, FedAvg over four workers, each worker's quarter alone, and what needs no network beside them.

Every comparison leans against the federation: its last round counts, of the others the best moment on the test sessions.
Beside the best possible recall, central training counts by its last epoch.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.next_item import baselines
from benchmarks.session_plan import ALONE_RATE, FEDERATED_RATE, TEST_STEPS_MAX, TRAINING_STEPS_MAX, WORKERS, Plan, items_of, plan, steps_of
from fl_core import run
from fl_core.data import open_data
from fl_core.datasets.generated_sessions import best_recall, make_world
from fl_core.job import Job, parse_job
from fl_core.pool import Pool
from fl_core.runner import Progress
from fl_core.types import Examples, FederatedData

ROUNDS = 20
# A quarter alone is measured so often at most. It and central training end early where so large a share of the measurements, and so many, bring nothing.
QUARTER_EVALUATIONS, PATIENCE = 10, (0.25, 3)
RECALL, MRR = "recall_at_20", "mrr_at_20"
GENERATED = {"name": "generated_sessions", "items": 1000, "sessions": 25_000}
Found = list[dict[str, float]]


@dataclass(frozen=True)
class Sets:
    """Each worker's part of the training sessions, and the test sessions."""

    quarters: Mapping[str, Examples]
    test: Examples

    @property
    def whole(self) -> Examples:
        return Examples(*(np.concatenate([getattr(quarter, part) for quarter in self.quarters.values()]) for part in ("x", "y")))

    def dealt(self) -> FederatedData:
        return FederatedData(tuple(self.quarters), tuple(map(len, self.quarters.values())), self.quarters.__getitem__, lambda: self.test)

    def alone(self, examples: Examples) -> FederatedData:
        test = self.test  # and not the whole of self, which would be carried to each process
        return FederatedData(("alone",), (len(examples),), lambda client: examples, lambda: test)


def measure(quick: bool, sessions: Path | None = None, steps_at_most: int = TRAINING_STEPS_MAX, rounds_at_most: int = ROUNDS) -> Measured:
    """Measures on a file of sessions, or on generated ones whose best possible recall is known; quick: fewer sessions and rounds.

    Of a longer file the last sessions with `steps_at_most` training steps are taken, and an even sample of the test sessions.
    """
    data: dict[str, Any] = GENERATED | ({"items": 200, "sessions": 5000} if quick else {})
    if sessions:
        data = {"name": "sessions", "path": str(sessions.absolute()), "training_steps_max": steps_at_most, "test_steps_max": TEST_STEPS_MAX}
    sets = _open(data)
    whole, first = sets.whole, next(iter(sets.quarters.values()))
    planned, rounds = plan(whole, first), min(rounds_at_most, ROUNDS // 2 if quick else ROUNDS)
    settings = {
        "sessions": str(sessions) if sessions else "generated", "items": items_of(whole), "training_rows": len(whole), "training_steps": steps_of(whole),
        "test_rows": len(sets.test), "test_steps": steps_of(sets.test), "workers": WORKERS, "rounds": rounds, "local_epochs": planned.round_epochs,
        "central_epochs": planned.central_epochs, "quarter_epochs": planned.quarter_epochs, "batch_size": planned.batch_size,
        "federated_rate": FEDERATED_RATE, "alone_rate": ALONE_RATE, "program": planned.program,
    }  # fmt: skip
    _say(", ".join(f"{name} {value}" for name, value in settings.items()))
    federated, central, alone = _train_all(sets, planned, rounds)
    best_central = max(found[RECALL] for found in central)
    best_quarter = max(found[RECALL] for quarter in alone for found in quarter)
    figures = {f"federated_{name}": federated[-1][name] for name in (RECALL, MRR)}
    figures |= {f"central_{name}": max(found[name] for found in central) for name in (RECALL, MRR)}
    figures |= {f"quarter_{place}_{RECALL}": max(found[RECALL] for found in quarter) for place, quarter in enumerate(alone)}
    for name, (recall, reciprocal_rank) in baselines(whole, sets.test, items_of(whole)).items():
        figures |= {f"{name}_{RECALL}": recall, f"{name}_{MRR}": reciprocal_rank}
    if not sessions:
        best = best_recall(make_world(data["items"], 20, 1, 0), sets.test.x)
        figures |= {f"best_possible_{RECALL}": best, "central_below_best": best - central[-1][RECALL]}
    ratios = {"federated_to_central": federated[-1][RECALL] / best_central, "federated_to_quarter": federated[-1][RECALL] / best_quarter}
    return Measured(settings, {name: round(value, 4) for name, value in ratios.items()}, {name: round(value, 4) for name, value in figures.items()})


def _open(data: dict[str, Any]) -> Sets:
    job = _job(Plan({"name": "gru4rec", "items": 2}, 1, 1, 1, 1), 1, 1, WORKERS, {**data, "partition": {"name": "iid", "clients": WORKERS}})
    found = open_data(job, job.data)
    test = found.test()
    assert test is not None, "both loaders refuse sets without test sessions"
    return Sets({client: found.open(client) for client in found.clients}, test)


def _train_all(sets: Sets, planned: Plan, rounds: int) -> tuple[Found, Found, list[Found]]:
    """What was measured of the federation, of central training, and of each quarter alone."""
    with Pool() as pool:
        federated = _train("federated", _job(planned, rounds, planned.round_epochs, WORKERS), sets.dealt(), pool)
    span = -(-planned.quarter_epochs // QUARTER_EVALUATIONS)
    jobs = {"central": (_job(planned, planned.central_epochs, 1), sets.alone(sets.whole))}
    alone = _job(planned, -(-planned.quarter_epochs // span), span)
    jobs |= {f"quarter-{place}": (alone, sets.alone(quarter)) for place, quarter in enumerate(sets.quarters.values())}
    central, *quarters = _train_side_by_side(jobs)
    return federated, central, quarters


def _job(planned: Plan, rounds: int, epochs: int, workers: int = 1, data: Mapping[str, Any] = GENERATED) -> Job:
    """A job whose workers keep Adam's state from round to round; measured every second round where there are several, else every round."""
    content = {
        "format": 1, "name": "gru4rec", "program": planned.program,
        "strategy": {"name": "fed_avg", "local_epochs": epochs, "batch_size": planned.batch_size},
        "data": dict(data), "federation": {"workers": workers}, "rounds": rounds, "evaluate": {"every_rounds": 2 if workers > 1 else 1},
        "optimizer": {"name": "Adam", "learning_rate": FEDERATED_RATE if workers > 1 else ALONE_RATE, "state": "keep"}, "seed": 1,
    }  # fmt: skip
    return parse_job(yaml.safe_dump(content))


def _train_side_by_side(jobs: Mapping[str, tuple[Job, FederatedData]]) -> list[Found]:
    """What each job measured; as many at a time as there are cores, each on a process of its own, because alone it has work for one."""

    def one(name: str) -> Found:
        with Pool(1) as pool:
            share, least = PATIENCE
            return _train(name, *jobs[name], pool, max(least, int(share * jobs[name][0].rounds)))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as several:
        return list(several.map(one, jobs))


class _EnoughError(Exception):
    """Ends a run that gets no better."""


def _train(name: str, job: Job, given: FederatedData, pool: Pool, patience: int | None = None) -> Found:
    """The metrics that were measured, in order; how it goes is said on stderr."""
    found: Found = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(job, out=Path(folder) / "run", pool=pool, data=given, on_round=partial(_follow, name, found, patience))
        except _EnoughError:
            _say(f"{name} got no better in {patience} measurements")
    return found


def _follow(name: str, found: Found, patience: int | None, progress: Progress) -> None:
    """Writes down what a round measured, says it, and drops memory that no later round reads."""
    versions = progress.run.private.list("clients/")
    newest = {key.rpartition("/")[0]: key for key in versions}
    progress.run.private.delete(*(key for key in versions if key not in newest.values()))
    measured = {key: progress.metrics[key] for key in (RECALL, MRR) if key in progress.metrics}
    told = f"{RECALL} {measured[RECALL]:.4f}" if measured else f"training loss {progress.metrics['train_loss']:.3f}"
    left = (progress.rounds - progress.round) * progress.seconds / 60
    _say(f"{name} round {progress.round} of {progress.rounds}: {told}, {progress.seconds:.1f} s, {left:.0f} min left at most")
    if not measured:
        return
    found.append(measured)
    if patience and _stale(found) >= patience:
        raise _EnoughError


def _stale(found: Sequence[Mapping[str, float]]) -> int:
    """How many measurements came after the best."""
    recalls = [one[RECALL] for one in found]
    return len(recalls) - 1 - recalls.index(max(recalls))


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


benchmark = Benchmark(
    "Four workers recommend together almost as well as if their sessions lay in one place, and better than any of them alone.",
    {"federated_to_central": Goal(least=0.95), "federated_to_quarter": Goal(least=1.1), "central_below_best": Goal(most=0.02)},
    measure,
)
