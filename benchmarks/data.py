"""Data for benchmarks: MNIST where it lies beside the checkout, else noise of the same shape; timings do not depend on the values."""

import os
from pathlib import Path

import numpy as np

from fl_core.names import EqualSizes, NumberedNames
from fl_core.types import Examples, FederatedData

MNIST = Path(os.environ.get("FL_BENCH_MNIST", Path(__file__).parents[2] / "shared" / "data" / "mnist"))


def images(clients: int = 10, examples: int = 600) -> FederatedData:
    """x (N, 784) float32, y (N,) int64, `examples` for each client: MNIST's first ones where there is MNIST."""
    whole = _mnist(clients * examples) or _noise(clients * examples)
    names = NumberedNames(clients)

    def open_client(name: str) -> Examples:
        start = names.index(name) * examples
        return whole.take(slice(start, start + examples))

    return FederatedData(names, EqualSizes(examples, clients), open_client, lambda: whole.take(slice(0, 100)))


def tokens(clients: int = 10, examples: int = 200, steps: int = 20, vocabulary: int = 100) -> FederatedData:
    """x (N, steps) int64 and the token that follows, y (N,) int64: noise."""
    names = NumberedNames(clients)

    def open_client(name: str) -> Examples:
        random = np.random.Generator(np.random.PCG64(names.index(name)))
        return Examples(random.integers(0, vocabulary, (examples, steps)), random.integers(0, vocabulary, examples))

    return FederatedData(names, EqualSizes(examples, clients), open_client, lambda: open_client(names[0]))


def points(clients: int = 1000, examples: int = 50, features: int = 60, classes: int = 10) -> FederatedData:
    """x (N, features) float32, y (N,) int64: noise that is made when a client is opened and gone when it is closed."""
    names = NumberedNames(clients)

    def open_client(name: str) -> Examples:
        random = np.random.Generator(np.random.PCG64(names.index(name)))
        return Examples(random.random((examples, features), np.float32), random.integers(0, classes, examples))

    return FederatedData(names, EqualSizes(examples, clients), open_client, lambda: open_client(names[0]))


def _mnist(count: int) -> Examples | None:
    if not MNIST.is_dir():
        return None
    from fl_core.datasets.mnist import mnist

    return mnist(MNIST, first=count).train


def _noise(count: int) -> Examples:
    random = np.random.Generator(np.random.PCG64(0))
    return Examples(random.random((count, 784), np.float32), random.integers(0, 10, count))
