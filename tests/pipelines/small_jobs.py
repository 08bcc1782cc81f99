"""Small jobs of three kinds of model, each with clients of unequal size and three rounds; made data, so that nothing slow is imported."""

from fl_core.job import Job, parse_job

SOFTMAX = """
format: 1
name: softmax
program: {name: logistic, features: 4, classes: 3}
strategy: {name: fed_avg, batch_size: 16}
data: {name: "made.py:clouds", held_out: 0.25, partition: {name: quantity_skew, clients: 5, alpha: 2.0}}
federation: {workers: 2}
rounds: 3
optimizer: {name: SGD, learning_rate: 0.1}
evaluate: {on: both}
seed: 3
"""

CNN = """
format: 1
name: cnn
program: {name: cnn_small, classes: 3, filters: 4}
strategy: {name: fed_avg, batch_size: 16}
data: {name: "made.py:images", partition: {name: dirichlet, clients: 5, alpha: 1.0}}
federation: {workers: 1}
rounds: 3
optimizer: {name: Momentum, learning_rate: 0.05}
evaluate: {every_rounds: 3}
seed: 4
"""

GRU = """
format: 1
name: gru
program: {name: gru, vocabulary: 9, classes: 9, embedding: 8, hidden: 8}
strategy: {name: fed_avg, batch_size: 16}
data: {name: "made.py:sentences", partition: {name: quantity_skew, clients: 5, alpha: 2.0}}
federation: {workers: 1}
rounds: 3
optimizer: {name: Adam, learning_rate: 0.01}
evaluate: {every_rounds: 3}
seed: 5
"""

MADE = '''
import os, signal
from dataclasses import replace
from pathlib import Path
import numpy as np
from fl_core.strategies.fed_avg import fed_avg
from fl_core.types import CentralData, Examples

def _halves(x, y):
    return CentralData(Examples(x[40:], y[40:]), Examples(x[:40], y[:40]), {"label": y[40:]})

def clouds(seed: int = 0):
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, 240)
    return _halves((random.normal(size=(240, 4)) + y[:, None]).astype(np.float32), y)

def images(seed: int = 0):
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, 240)
    return _halves((random.normal(size=(240, 64)) + y[:, None]).astype(np.float32), y)

def sentences(seed: int = 0):
    random = np.random.default_rng(seed)
    x = random.integers(0, 9, (240, 6))
    return _halves(x, x[:, 2])

def killed_once(folder: str):
    """Everyone, but the process that asks in round 2 is killed the first time."""
    def select(draw):
        mark = Path(folder, "killed")
        if draw.round == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return draw.clients
    return select

def all_but(client: str):
    return lambda draw: [c for c in draw.clients if c != client]

def fails_once(folder: str):
    """FedAvg, but a client fails the first time that anybody trains it."""
    base = fed_avg()
    def train(client, *more):
        mark = Path(folder, "failed")
        if client.name == "client-1" and not mark.exists():
            mark.touch()
            raise RuntimeError("no data today")
        return base.exchanges[0].at_worker(client, *more)
    return replace(base, exchanges=(replace(base.exchanges[0], at_worker=train),))

def only(client: str):
    return lambda draw: [client]
'''


def small_job(text: str, *overrides: str) -> Job:
    """The job of a text with overrides such as `rounds=2`."""
    return parse_job(text, overrides, code={"made.py": MADE})
