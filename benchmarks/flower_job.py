"""What both sides of the comparison with Flower train: McMahan's 2NN on ten clients with 600 images each, B = 10, E = 1."""

from functools import cache

from benchmarks.data import images
from benchmarks.training import training_job
from fl_core.job import Job
from fl_core.types import Examples

SIZES = (784, 200, 200, 10)
CLIENTS, EXAMPLES, BATCH_SIZE, LEARNING_RATE = 10, 600, 10, 0.1


def flower_job(rounds: int) -> Job:
    program = {"name": "benchmarks.programs:layers", "features": SIZES[0], "classes": SIZES[3], "hidden": list(SIZES[1:3])}
    return training_job(program, {"name": "benchmarks.data:images", "clients": CLIENTS, "examples": EXAMPLES}, rounds, BATCH_SIZE, LEARNING_RATE)


@cache
def client_data(place: int) -> tuple[str, Examples]:
    """The name and the examples of the client at a place."""
    data = images(CLIENTS, EXAMPLES)
    name = data.clients[place]
    return name, data.open(name)
