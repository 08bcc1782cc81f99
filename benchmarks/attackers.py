"""Clients that misbehave, as the runner meets them: a strategy around another whose first clients corrupt what they send, and digits with wrong labels."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from fl_core.datasets.digits import digits
from fl_core.names import NumberedNames
from fl_core.partitions.iid import iid
from fl_core.strategies.norm_bound import length
from fl_core.strategy import Strategy
from fl_core.types import Client, ClientUpdate, Examples, FederatedData, RoundState, Weights

CLASSES = 10

Corrupt = Callable[[Weights, RoundState], Weights]


def times(factor: float) -> Corrupt:
    """The honest move, times a factor."""
    return lambda move, state: {name: (factor * value).astype(value.dtype) for name, value in move.items()}


def to_nan(move: Weights, state: RoundState) -> Weights:
    """Nothing that is a number."""
    return {name: np.full_like(value, np.nan) for name, value in move.items()}


def agreed(agreed_length: float) -> Corrupt:
    """The same move from all who collude, whatever they were to train: of the agreed length, towards the model that takes each class for the next one."""

    def corrupt(move: Weights, state: RoundState) -> Weights:
        wrong = {name: np.roll(value, 1, axis=-1).astype(np.float64) - value for name, value in state.weights.items()}
        whole = length(wrong)
        return {name: (agreed_length / whole * value).astype(move[name].dtype) for name, value in wrong.items()}

    return corrupt


CORRUPTIONS: Mapping[str, Callable[[float], Corrupt]] = {
    "sign_flip": lambda strength: times(-1.0), "scale": lambda strength: times(-strength), "nan": lambda strength: to_nan, "colluding": agreed,
}  # fmt: skip


def attacked(around: Strategy, attack: str, attackers: int, clients: int, strength: float = 1.0) -> Strategy:
    """The strategy `around` in a federation whose first `attackers` of `clients` clients send what `attack` makes of their moves; metrics stay as they are."""
    corrupt, (exchange,) = CORRUPTIONS[attack](strength), around.exchanges
    bad = set(NumberedNames(clients)[:attackers])

    def at_worker(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        update, memory = exchange.at_worker(client, state, memory, message)
        return replace(update, move=corrupt(update.move, state)) if client.name in bad else update, memory

    return replace(around, exchanges=(replace(exchange, at_worker=at_worker),))


def flipped_digits(clients: int, liars: int, seed: int = 0) -> FederatedData:
    """Digits in equal random parts; the labels of the first `liars` clients are turned over: 0 is called 9, 1 is called 8, and so on."""
    central = digits()
    rows = iid(central, np.random.Generator(np.random.PCG64(seed)), clients=clients)
    names = NumberedNames(clients)

    def open_client(name: str) -> Examples:
        honest = central.train.take(rows[name])
        return honest if names.index(name) >= liars else Examples(honest.x, CLASSES - 1 - honest.y)

    return FederatedData(names, [len(rows[name]) for name in names], open_client, lambda: central.test)
