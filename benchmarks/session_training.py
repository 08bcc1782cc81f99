"""Trains what Gru4Rec's benchmark compares, as far as it gets better, and says on stderr how it goes."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import yaml

from benchmarks.session_plan import ALONE_RATE, FEDERATED_RATE, RATE_FLOOR, WORKERS, Plan
from benchmarks.session_sets import GENERATED, Sets
from fl_core import run
from fl_core.job import Job, parse_job
from fl_core.pool import Pool
from fl_core.runner import Progress
from fl_core.types import FederatedData

# A quarter alone is measured so often at most. It and central training end early where so large a share of the measurements, and so many, bring nothing.
QUARTER_EVALUATIONS, PATIENCE = 10, (0.25, 3)
RECALL, MRR = "recall_at_20", "mrr_at_20"
Found = list[dict[str, float]]


def train_all(sets: Sets, planned: Plan, rounds: int) -> tuple[Found, Found, list[Found]]:
    """What was measured of the federation, of central training, and of each quarter alone."""
    with Pool() as pool:
        federated = _train("federated", _job(planned, rounds, planned.round_epochs, WORKERS), sets.dealt(), pool)
    span = -(-planned.quarter_epochs // QUARTER_EVALUATIONS)
    jobs = {"central": (_job(planned, planned.central_epochs, 1), sets.alone(sets.whole))}
    alone = _job(planned, -(-planned.quarter_epochs // span), span)
    jobs |= {f"quarter-{place}": (alone, sets.alone(quarter)) for place, quarter in enumerate(sets.quarters.values())}
    central, *quarters = _train_side_by_side(jobs)
    return federated, central, quarters


def _job(planned: Plan, rounds: int, epochs: int, workers: int = 1) -> Job:
    """A job whose workers keep Adam's state from round to round, at a rate that falls; measured every second round where there are several, else every one.

    Its data are handed to it when it runs.
    """
    content = {
        "format": 1, "name": "gru4rec", "program": planned.program,
        "strategy": {"name": "fed_avg", "local_epochs": epochs, "batch_size": planned.batch_size},
        "data": GENERATED, "federation": {"workers": workers}, "rounds": rounds, "evaluate": {"every_rounds": 2 if workers > 1 else 1},
        "optimizer": {
            "name": "Adam", "learning_rate": FEDERATED_RATE if workers > 1 else ALONE_RATE, "state": "keep",
            "schedule": {"name": "cosine", "floor": RATE_FLOOR},
        }, "seed": 1,
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
            say(f"{name} got no better in {patience} measurements")
    return found


def _follow(name: str, found: Found, patience: int | None, progress: Progress) -> None:
    """Writes down what a round measured, says it, and drops memory that no later round reads."""
    versions = progress.run.private.list("clients/")
    newest = {key.rpartition("/")[0]: key for key in versions}
    progress.run.private.delete(*(key for key in versions if key not in newest.values()))
    measured = {key: progress.metrics[key] for key in (RECALL, MRR) if key in progress.metrics}
    told = f"{RECALL} {measured[RECALL]:.4f}" if measured else f"training loss {progress.metrics['train_loss']:.3f}"
    left = (progress.rounds - progress.round) * progress.seconds / 60
    say(f"{name} round {progress.round} of {progress.rounds}: {told}, {progress.seconds:.1f} s, {left:.0f} min left at most")
    if not measured:
        return
    found.append(measured)
    if patience and stale(found) >= patience:
        raise _EnoughError


def stale(found: Sequence[Mapping[str, float]]) -> int:
    """How many measurements came after the best."""
    recalls = [one[RECALL] for one in found]
    return len(recalls) - 1 - recalls.index(max(recalls))


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
