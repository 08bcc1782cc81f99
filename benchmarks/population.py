"""100 clients a round out of 1 thousand, 100 thousand and 1 million: what a round costs must not depend on how many are not drawn."""

import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Benchmark, Goal, Measured, peak_bytes, processes_below
from benchmarks.training import training_job
from fl_core import run
from fl_core.pool import Pool

POPULATIONS = {"1k": 1_000, "100k": 100_000, "1M": 1_000_000}


def measure(quick: bool) -> Measured:
    rounds, repeats = (4, 2) if quick else (8, 3)
    seconds: dict[str, list[float]] = {name: [] for name in POPULATIONS}
    bytes_: dict[str, list[int]] = {name: [] for name in POPULATIONS}
    for _ in range(repeats):
        for name, clients in POPULATIONS.items():
            middle, peak = _in_a_process_of_its_own(clients, rounds)
            seconds[name].append(middle)
            bytes_[name].append(peak)
    times, peaks = ({name: statistics.median(values) for name, values in found.items()} for found in (seconds, bytes_))
    figures = {f"round_ms_{name}": round(value * 1000, 2) for name, value in times.items()}
    figures |= {f"peak_mb_{name}": round(value / 1e6, 1) for name, value in peaks.items()}
    ratios = {"time_spread": round(max(times.values()) / min(times.values()), 3), "memory_spread": round(max(peaks.values()) / min(peaks.values()), 3)}
    return Measured({"clients_per_round": 100, "populations": list(POPULATIONS.values()), "rounds": rounds - 1, "repeats": repeats}, ratios, figures)


def _in_a_process_of_its_own(clients: int, rounds: int) -> tuple[float, int]:
    """The median round's seconds and the peak memory of all processes together; in a child, because a process never forgets its peak."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        middle, peak = _measure(clients, rounds)
        os.write(write, f"{middle} {peak}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as lines:
        middle_text, peak_text = lines.read().split()
    os.waitpid(child, 0)
    return float(middle_text), int(peak_text)


def _measure(clients: int, rounds: int) -> tuple[float, int]:
    program = {"name": "fl_core.programs.logistic:program", "features": 60, "classes": 10}
    data = {"name": "benchmarks.data:points", "clients": clients, "examples": 50}
    job = training_job(program, data, rounds, 10, 0.1, selection={"name": "uniform", "clients_per_round": 100})
    ends: list[float] = []
    peak = 0
    with tempfile.TemporaryDirectory() as folder, Pool() as pool:
        run(job, out=Path(folder) / "run", pool=pool, on_round=lambda progress: ends.append(time.perf_counter()))
        peak = peak_bytes(processes_below(os.getpid()))
    return statistics.median(after - before for before, after in itertools.pairwise(ends)), peak


benchmark = Benchmark("Time and memory of a round do not grow with the population.", {"time_spread": Goal(most=1.2), "memory_spread": Goal(most=1.2)}, measure)
