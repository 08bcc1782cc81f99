"""How many clients a second a run takes through its whole cycle when they do nothing: selection, replies, merging, journal and all."""

import itertools
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.strategies import CLIENTS_PER_ROUND
from benchmarks.training import training_job
from fl_core import run
from fl_core.pool import Pool

FLOATS = 1000


def measure(quick: bool) -> Measured:
    rounds = 11 if quick else 31
    program = {"name": "fl_core.programs.logistic:program", "features": FLOATS // 10 - 1, "classes": 10}
    data = {"name": "benchmarks.data:points", "clients": 1000, "examples": 10, "features": FLOATS // 10 - 1}
    job = training_job(
        program,
        data,
        rounds,
        10,
        0.1,
        strategy={"name": "benchmarks.strategies:nothing"},
        selection={"name": "uniform", "clients_per_round": CLIENTS_PER_ROUND},
    )
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Pool() as pool:
        run(job, out=Path(folder) / "run", pool=pool, on_round=lambda progress: ends.append(time.perf_counter()))
        processes = pool.processes
    middle = sorted(after - before for before, after in itertools.pairwise(ends))[len(ends) // 2]
    settings = {"clients_per_round": CLIENTS_PER_ROUND, "clients": 1000, "floats": FLOATS, "rounds": rounds - 1, "processes": processes}
    return Measured(settings, {}, {"tasks_per_second": round(CLIENTS_PER_ROUND / middle), "round_ms": round(middle * 1000, 2)})


benchmark = Benchmark("Clients that do nothing pass at 1 000 a second and more, end to end.", {"tasks_per_second": Goal(least=1000)}, measure)
