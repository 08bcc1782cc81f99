"""100 clients a round out of 1 thousand, 100 thousand and 1 million: what a round costs must not depend on how many are not drawn."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.harness import Benchmark, Goal, Measured, cpu_seconds, peak_bytes, processes_below
from benchmarks.training import training_job
from fl_core import run
from fl_core.pool import Pool
from fl_core.runner import Progress

POPULATIONS = {"1k": 1_000, "100k": 100_000, "1M": 1_000_000}
ROOT = Path(__file__).parents[1]


def measure(quick: bool) -> Measured:
    rounds, repeats = (5, 1) if quick else (12, 3)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in POPULATIONS}
    for _ in range(repeats):
        for name, clients in POPULATIONS.items():
            found[name].append(_in_a_process_of_its_own(clients, rounds))
    middles = {name: {key: statistics.median(one[key] for one in runs) for key in runs[0]} for name, runs in found.items()}
    figures = {f"{key}_{name}": round(value, 2) for name, figures in middles.items() for key, value in figures.items()}
    ratios = {"time_spread": _spread(middles, "round_cpu_ms"), "memory_spread": _spread(middles, "peak_mb")}
    return Measured({"clients_per_round": 100, "populations": list(POPULATIONS.values()), "rounds": rounds - 2, "repeats": repeats}, ratios, figures)


def _spread(middles: dict[str, dict[str, float]], key: str) -> float:
    values = [figures[key] for figures in middles.values()]
    return round(max(values) / min(values), 3)


def _in_a_process_of_its_own(clients: int, rounds: int) -> dict[str, float]:
    """What `measure_one` finds; in a process of its own, because a process never forgets its peak."""
    command = [sys.executable, "-m", "benchmarks.population", str(clients), str(rounds)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout)
    return found


def measure_one(clients: int, rounds: int) -> dict[str, float]:
    """The median round, by the clock and by the CPU time of all processes, and their peak memory together."""
    program = {"name": "fl_core.programs.logistic:program", "features": 60, "classes": 10}
    data = {"name": "benchmarks.data:points", "clients": clients, "examples": 50}
    job = training_job(program, data, rounds, 10, 0.1, selection={"name": "uniform", "clients_per_round": 100})
    mine: list[int] = []
    ends: list[tuple[float, float]] = []

    def on_round(progress: Progress) -> None:
        mine[:] = mine or processes_below(os.getpid())
        ends.append((time.perf_counter(), cpu_seconds(mine)))

    with tempfile.TemporaryDirectory() as folder, Pool() as pool:
        run(job, out=Path(folder) / "run", pool=pool, on_round=on_round)
        peak = peak_bytes(mine)
    clock, cpu = ([after - before for before, after in pairwise(found[1:])] for found in zip(*ends, strict=True))
    return {"round_ms": statistics.median(clock) * 1000, "round_cpu_ms": statistics.median(cpu) * 1000, "peak_mb": peak / 1e6}


benchmark = Benchmark(
    claim="Time and memory of a round do not grow with the population.",
    goals={"time_spread": Goal(most=1.2), "memory_spread": Goal(most=1.2)},
    measure=measure,
)

if __name__ == "__main__":
    print(json.dumps(measure_one(int(sys.argv[1]), int(sys.argv[2]))))
