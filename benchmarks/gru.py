"""A GRU of 100 units that names the next token, beside the plain Paddle loop."""

from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.training import beside_plain_loop, training_job


def measure(quick: bool) -> Measured:
    rounds = 4 if quick else 13
    program = {"name": "fl_core.programs.gru:program", "vocabulary": 100, "classes": 100, "embedding": 50, "hidden": 100}
    job = training_job(program, {"name": "benchmarks.data:tokens", "clients": 5, "examples": 200}, rounds, 10, 0.1)
    return beside_plain_loop(job, {"clients": 5, "examples_per_client": 200, "tokens": 20, "batch_size": 10, "rounds": rounds - 1}, examples=1000)


benchmark = Benchmark("A GRU trains at the pace of the plain Paddle loop.", {"to_limit": Goal(least=0.9)}, measure)
