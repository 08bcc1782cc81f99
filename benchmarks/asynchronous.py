"""What it is worth not to wait: simulated seconds until a model is good, in rounds that end with the slowest client and in rounds of who is done first."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness import Benchmark, Goal, Measured
from fl_core import run
from fl_core.job import Job, parse_job
from fl_core.pool import Pool
from fl_core.selections._devices import Devices

CLIENTS, IN_FLIGHT, BUFFER_SIZE, STALENESS_MAX = 50, 10, 5, 20
ACCURACY = 0.85
ROUNDS, ASYNCHRONOUS_ROUNDS, SEEDS = 60, 180, (0, 1, 2)


def measure(quick: bool) -> Measured:
    """Measures both with as many clients at work at a time, the median over the seeds; quick: one seed."""
    found: dict[str, list[float]] = {}
    with Pool() as pool:
        for seed in SEEDS[:1] if quick else SEEDS:
            devices = Devices(seed=seed)
            one = {**_waiting(seed, devices, pool), **_asynchronous(seed, devices, pool)}
            one["waiting_to_asynchronous"] = one["waiting_seconds"] / one["asynchronous_seconds"]
            for name, value in one.items():
                found.setdefault(name, []).append(value)
    settings = {
        "data": "digits, dirichlet alpha 0.5", "clients": CLIENTS, "at_work_at_a_time": IN_FLIGHT, "buffer_size": BUFFER_SIZE, "accuracy": ACCURACY,
        "staleness_max": STALENESS_MAX, "devices": Devices().model_dump(exclude={"seed"}), "seeds": 1 if quick else len(SEEDS),
    }  # fmt: skip
    middle = {name: round(statistics.median(values), 3) for name, values in found.items()}
    return Measured(settings, {"waiting_to_asynchronous": middle.pop("waiting_to_asynchronous")}, middle)


def _waiting(seed: int, devices: Devices, pool: Pool) -> dict[str, float]:
    """FedAvg: a round takes as long as its slowest client."""
    selection = {"name": "uniform", "clients_per_round": IN_FLIGHT, "devices": devices.model_dump()}
    rounds, taken = _train({"name": "fed_avg"}, selection, ROUNDS, seed, pool)
    return {"waiting_seconds": taken, "waiting_client_updates": float(rounds * IN_FLIGHT)}


def _asynchronous(seed: int, devices: Devices, pool: Pool) -> dict[str, float]:
    """FedBuff: a round ends when the buffer is full."""
    options = {"buffer_size": BUFFER_SIZE, "clients_in_flight": IN_FLIGHT, "staleness_max": STALENESS_MAX, "devices": devices.model_dump()}
    rounds, taken = _train({"name": "fed_buff", **options}, {"name": "everyone"}, ASYNCHRONOUS_ROUNDS, seed, pool)
    return {"asynchronous_seconds": taken, "asynchronous_client_updates": float(rounds * BUFFER_SIZE)}


def _train(strategy: dict[str, Any], selection: dict[str, Any], rounds: int, seed: int, pool: Pool) -> tuple[int, float]:
    """After how many rounds the run was accurate enough, and the simulated seconds of these; ValueError where it never was."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(_job(strategy, selection, rounds, seed), out=Path(folder) / "run", pool=pool)
        if result.metrics["accuracy"] < ACCURACY:
            raise ValueError(f"{strategy['name']} came to {result.metrics['accuracy']:.3f} in {rounds} rounds, below {ACCURACY}; give it more rounds.")
        return int(result.summary["rounds"]), float(result.summary["simulated_seconds"])


def _job(strategy: dict[str, Any], selection: dict[str, Any], rounds: int, seed: int) -> Job:
    content = {
        "format": 1, "name": "asynchronous", "program": "digits", "strategy": strategy, "selection": selection, "rounds": rounds, "seed": seed,
        "data": {"name": "digits", "partition": {"name": "dirichlet", "clients": CLIENTS, "alpha": 0.5, "min_examples": 5}},
        "stop_when": {"accuracy": ACCURACY}, "optimizer": {"name": "SGD", "learning_rate": 0.1},
    }  # fmt: skip
    return parse_job(yaml.safe_dump(content))


benchmark = Benchmark(
    "On devices of unequal speed, who does not wait for the slowest is done sooner with as many clients at work.",
    {"waiting_to_asynchronous": Goal(least=1.5)},
    measure,
)
