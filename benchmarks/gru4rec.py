"""Gru4Rec by PaddleFL's protocol: all sessions in one place, FedAvg over four workers, each worker's quarter alone, and what needs no network beside them.

Every comparison leans against the federation: its last round counts, of the others the best moment on the test sessions.
Beside the best possible recall, central training counts by its last epoch.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.next_item import baselines
from fl_core import run
from fl_core.data import open_data
from fl_core.datasets.generated_sessions import best_recall, make_world
from fl_core.job import Job, parse_job
from fl_core.pool import Pool
from fl_core.runner import Progress
from fl_core.types import Examples, FederatedData

WORKERS = 4
ROUNDS = 20
BATCH_SIZE = 50
# Small sets are gone through more often, so that each model takes so many steps at least: (epochs at least, steps at least, epochs at most).
CENTRAL, QUARTER, ROUND = (12, 4000, 60), (20, 2000, 60), (2, 100, 4)
QUARTER_EVALUATIONS = 5
# Scores (steps, items) of an epoch up to which all items are scored: some 30 seconds on one core. Above it drawn items stand for all.
EXACT_SCORES_MAX, NEGATIVES = 1_500_000_000, 2048
RECALL, MRR = "recall_at_20", "mrr_at_20"
GENERATED = {"name": "generated_sessions", "items": 1000, "sessions": 25_000}


def measure(quick: bool, sessions: Path | None = None) -> Measured:
    """Measures on a file of sessions, or on generated ones whose best possible recall is known; quick: fewer sessions and rounds."""
    data: dict[str, Any] = (
        {"name": "sessions", "path": str(sessions.absolute())} if sessions else GENERATED | ({"items": 200, "sessions": 5000} if quick else {})
    )
    whole, quarters, test = _open(data)
    items, steps = int(max(whole.x.max(), whole.y.max())), int(np.count_nonzero(whole.y))
    program = {"name": "gru4rec", "items": items} | ({"negatives": NEGATIVES} if items * steps > EXACT_SCORES_MAX else {})
    rounds = ROUNDS // 2 if quick else ROUNDS
    central_epochs, quarter_epochs, round_epochs = _epochs(len(whole), CENTRAL), _epochs(len(quarters[0]), QUARTER), _epochs(len(quarters[0]), ROUND)
    settings = {
        "sessions": str(sessions) if sessions else "generated", "items": items, "training_rows": len(whole), "training_steps": steps, "test_rows": len(test),
        "test_steps": int(np.count_nonzero(test.y)), "workers": WORKERS, "rounds": rounds, "local_epochs": round_epochs, "central_epochs": central_epochs,
        "quarter_epochs": quarter_epochs, "program": program,
    }  # fmt: skip
    with Pool() as pool:
        federated = _train("federated", _job(program, _dealt(data), rounds, round_epochs, "reset"), pool)
    spans = -(-quarter_epochs // QUARTER_EVALUATIONS)
    jobs = {"central": (_job(program, data, central_epochs, 1, "keep"), _alone(whole, test))}
    jobs |= {f"quarter-{i}": (_job(program, data, QUARTER_EVALUATIONS, spans, "keep"), _alone(quarter, test)) for i, quarter in enumerate(quarters)}
    central, *alone = _train_side_by_side(jobs)
    best_central = max(found[RECALL] for found in central)
    best_quarter = max(found[RECALL] for quarter in alone for found in quarter)
    figures = {f"federated_{name}": federated[-1][name] for name in (RECALL, MRR)}
    figures |= {f"central_{name}": max(found[name] for found in central) for name in (RECALL, MRR)}
    figures |= {f"quarter_{place}_{RECALL}": max(found[RECALL] for found in quarter) for place, quarter in enumerate(alone)}
    for name, (recall, reciprocal_rank) in baselines(whole, test, items).items():
        figures |= {f"{name}_{RECALL}": recall, f"{name}_{MRR}": reciprocal_rank}
    if not sessions:
        best = best_recall(make_world(data["items"], 20, 1, 0), test.x)
        figures |= {f"best_possible_{RECALL}": best, "central_below_best": best - central[-1][RECALL]}
    ratios = {"federated_to_central": federated[-1][RECALL] / best_central, "federated_to_quarter": federated[-1][RECALL] / best_quarter}
    return Measured(settings, {name: round(value, 4) for name, value in ratios.items()}, {name: round(value, 4) for name, value in figures.items()})


def _epochs(sessions: int, limits: tuple[int, int, int]) -> int:
    least, steps, most = limits
    return min(most, max(least, -(-steps * BATCH_SIZE // sessions)))


def _dealt(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "partition": {"name": "iid", "clients": WORKERS}}


def _open(data: dict[str, Any]) -> tuple[Examples, list[Examples], Examples]:
    """All training sessions, each worker's part of them, and the test sessions."""
    job = _job({"name": "gru4rec", "items": 2}, _dealt(data), 1, 1, "reset")
    found = open_data(job, job.data)
    quarters, test = [found.open(client) for client in found.clients], found.test()
    assert test is not None
    return Examples(*(np.concatenate([getattr(quarter, part) for quarter in quarters]) for part in ("x", "y"))), quarters, test


def _alone(examples: Examples, test: Examples) -> FederatedData:
    return FederatedData(("alone",), (len(examples),), lambda client: examples, lambda: test)


def _job(program: dict[str, Any], data: dict[str, Any], rounds: int, epochs: int, state: str) -> Job:
    content = {
        "format": 1, "name": "gru4rec", "program": program, "strategy": {"name": "fed_avg", "local_epochs": epochs, "batch_size": BATCH_SIZE}, "data": data,
        "federation": {"workers": WORKERS if "partition" in data else 1}, "rounds": rounds, "evaluate": {"every_rounds": 2 if "partition" in data else 1},
        "optimizer": {"name": "Adam", "learning_rate": 0.004, "state": state}, "seed": 1,
    }  # fmt: skip
    return parse_job(yaml.safe_dump(content))


def _train_side_by_side(jobs: Mapping[str, tuple[Job, FederatedData]]) -> list[list[dict[str, float]]]:
    """What each job measured; as many at a time as there are cores, each on a process of its own, because alone it has work for one."""

    def one(name: str) -> list[dict[str, float]]:
        job, given = jobs[name]
        with Pool(1) as pool:
            return _train(name, job, pool, given)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as several:
        return list(several.map(one, jobs))


def _train(name: str, job: Job, pool: Pool, given: FederatedData | None = None) -> list[dict[str, float]]:
    """The metrics that were measured, in order; how it goes is said on stderr."""
    found: list[dict[str, float]] = []

    def on_round(progress: Progress) -> None:
        if RECALL in progress.metrics:
            found.append({key: progress.metrics[key] for key in (RECALL, MRR)})
            print(f"{name} round {progress.round} of {job.rounds}: {RECALL} {found[-1][RECALL]:.4f}, {progress.seconds:.1f} s", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        run(job, out=Path(folder) / "run", pool=pool, data=given, on_round=on_round)
    return found


benchmark = Benchmark(
    "Four workers recommend together almost as well as if their sessions lay in one place, and better than any of them alone.",
    {"federated_to_central": Goal(least=0.95), "federated_to_quarter": Goal(least=1.1), "central_below_best": Goal(most=0.02)},
    measure,
)
