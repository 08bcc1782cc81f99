"""LEAF's CNN (5 x 5 convolutions of 32 and 64 channels, 2 048 dense units) on images of MNIST's size, beside the plain Paddle loop."""

from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.training import beside_plain_loop, training_job


def measure(quick: bool) -> Measured:
    rounds = 3 if quick else 6
    program = {"name": "fl_core.programs.cnn:program", "classes": 62}
    job = training_job(program, {"name": "benchmarks.data:images", "clients": 10, "examples": 200}, rounds, 10, 0.06)
    return beside_plain_loop(job, {"clients": 10, "examples_per_client": 200, "batch_size": 10, "rounds": rounds - 1}, examples=2000)


benchmark = Benchmark("A CNN trains at the pace of the plain Paddle loop.", {"to_limit": Goal(least=0.9)}, measure)
