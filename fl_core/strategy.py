"""FL-Strategy: how a round selects, exchanges and applies; a record of functions that a job names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.types import NOTHING, Client, ClientUpdate, Form, ModelUpdate, RoundState, Weights


@dataclass(frozen=True)
class Draw:
    """What a selection may look at: the round, all clients in sorted order, their sizes, randomness, and the server's memory."""

    round: int
    clients: Sequence[str]
    sizes: Sequence[int]
    random: np.random.Generator
    memory: Weights = field(default_factory=dict)


class Select(Protocol):
    """Chooses the clients of a round; an empty choice is legal and leaves the model as it is."""

    def __call__(self, draw: Draw) -> Sequence[str]: ...


class AtWorker(Protocol):
    """One client's part of an exchange. `memory` is the client's own, private to its organisation; what is returned replaces it once the round's
    close record lists the client. `message` is what the server made of the exchange before, empty in the first."""

    def __call__(self, client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]: ...


@dataclass(frozen=True)
class Exchange:
    """One trip to the workers and back; `form` says how replies are kept. `at_server` turns the replies of all but the last into the next message."""

    name: str
    at_worker: AtWorker
    form: Form = "sum"
    at_server: Callable[[RoundState, ModelUpdate], Weights] | None = None


def no_memory(weights: Weights) -> Weights:
    """The server remembers nothing but the weights."""
    return NOTHING


def everyone(draw: Draw) -> Sequence[str]:
    return draw.clients


@dataclass(frozen=True)
class Strategy:
    """init makes the server's first memory from the first weights; apply turns a round's merged update into the next state."""

    exchanges: tuple[Exchange, ...]
    apply: Callable[[RoundState, ModelUpdate], RoundState]
    init: Callable[[Weights], Weights] = no_memory
    select: Select = everyone


def load_strategy(job: Job) -> Strategy:
    """The job's strategy with the job's selection; InputError where either is wrong. Imports no Paddle unless the user's file does."""
    strategy = job.build("strategy", job.strategy)
    if not isinstance(strategy, Strategy):
        raise InputError(f"The strategy '{job.strategy.name}' gives {type(strategy).__name__}; it is a function that returns an fl_core.strategy.Strategy.")
    if not strategy.exchanges:
        raise InputError(f"The strategy '{job.strategy.name}' has no exchange; it needs at least one.")
    select = job.build("selection", job.selection)
    if not callable(select):
        raise InputError(f"The selection '{job.selection.name}' gives {type(select).__name__}; it is a function that returns a function of a Draw.")
    return replace(strategy, select=select)


def subtract(left: Weights, right: Weights) -> dict[str, np.ndarray]:
    return {name: left[name] - right[name] for name in left}


def add(left: Weights, right: Mapping[str, np.ndarray], scale: float = 1.0) -> dict[str, np.ndarray]:
    """left + scale * right, in the wider dtype of the two; names absent from `right` are passed on."""
    return {name: value + scale * right[name] if name in right else value for name, value in left.items()}
