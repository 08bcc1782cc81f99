"""Softmax regression on 60 features, as in FedProx's synthetic data: many clients' models at a time beside one at a time."""

from benchmarks.harness import Benchmark, Goal, Measured, in_turn, ratio
from benchmarks.training import round_cpu_seconds, training_job
from fl_core.pool import Pool

CLIENTS, EXAMPLES = 256, 100


def measure(quick: bool) -> Measured:
    rounds, pairs = (4, 2) if quick else (6, 5)
    program = {"name": "fl_core.programs.logistic:program", "features": 60, "classes": 10}
    data = {"name": "benchmarks.data:points", "clients": CLIENTS, "examples": EXAMPLES}
    jobs = {engine: training_job(program, data, rounds, 10, 0.1, engine=engine) for engine in ("one_by_one", "batched")}
    with Pool(1) as pool:
        seconds = in_turn({engine: lambda job=job: round_cpu_seconds(job, pool) for engine, job in jobs.items()}, pairs)  # type: ignore[misc]
    figures = {f"examples_per_cpu_second_{engine}": round(CLIENTS * EXAMPLES / min(values)) for engine, values in seconds.items()}
    settings = {"clients": CLIENTS, "examples_per_client": EXAMPLES, "batch_size": 10, "parameters": 610, "rounds": rounds - 1, "pairs": pairs}
    return Measured(settings, {"batched_to_sequential": ratio(seconds["one_by_one"], seconds["batched"])}, figures)


benchmark = Benchmark("Tiny models are trained many at a time, several times faster.", {"batched_to_sequential": Goal(least=4)}, measure)
