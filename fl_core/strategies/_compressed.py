"""What communication-saving strategies share: they wrap a strategy, and clients send codes of their moves instead of the moves.

Konečný, McMahan, Yu, Richtárik, Suresh, Bacon: Federated Learning: Strategies for Improving Communication Efficiency, 2016, https://arxiv.org/abs/1610.05492

Codes cannot be summed, so replies keep clients apart and the server decodes them. Weights of one dimension or none (biases, batch statistics) are
sent as they are: they are few, and noise in a variance does harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol
from zlib import crc32

import numpy as np

from fl_core.codec import under
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy
from fl_core.types import Client, ClientUpdate, ModelUpdate, RoundState, Weights

SEED, RESIDUAL, INNER = "code/seed", "residual/", "inner/"


class Encode(Protocol):
    """The code of one weight's move (flat, float32) as named arrays."""

    def __call__(self, move: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]: ...


class Decode(Protocol):
    """The move of `size` numbers that a code stands for; the same randomness as the encoder's. It never fails, whatever the numbers in the code."""

    def __call__(self, code: Weights, size: int, random: np.random.Generator) -> np.ndarray: ...


@dataclass(frozen=True)
class Coding:
    """A way to encode; `like` gives empty arrays in the shapes of the code of so many numbers."""

    encode: Encode
    decode: Decode
    like: "Like"


class Like(Protocol):
    def __call__(self, size: int) -> dict[str, np.ndarray]: ...


def compressed(around: Strategy | None, coding: Coding, feedback: bool = False) -> Strategy:
    """The strategy (FedAvg where it is None) with encoded moves. With `feedback` a client remembers what its codes left out and adds it next time.

    Each client's figures say how many bytes its code has (`bytes_up`) and how many its move would have had (`bytes_plain`).
    """
    inner = around or fed_avg()
    if len(inner.exchanges) != 1 or inner.exchanges[0].form != "sum":
        raise ValueError("around is a strategy that does not sum its clients' moves in one exchange; name one that does, such as fed_avg")
    (exchange,) = inner.exchanges

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        update, kept = exchange.at_worker(client, state, under(memory, INNER), message)
        left = under(memory, RESIDUAL)
        move = {name: np.asarray(value + left[name] if name in left else value) for name, value in update.move.items()}
        sent = {SEED: np.array(client.seed, np.int64), **encode(coding, move, client.seed)}
        bytes_up = sum(value.nbytes for value in sent.values())
        figures = {"bytes_up": float(bytes_up), "bytes_plain": float(sum(value.nbytes for value in move.values()))}
        memory_after = {f"{INNER}{name}": value for name, value in kept.items()}
        if feedback:
            received = decode(coding, sent, move, client.seed)
            memory_after |= {f"{RESIDUAL}{name}": value - received[name] for name, value in move.items() if value.ndim > 1}
        return ClientUpdate(sent, update.weight, {**update.metrics, **figures}), memory_after

    def expects(state: RoundState) -> Weights:
        shapes = exchange.expects(state)
        codes = (_named(name, coding.like(value.size)) if value.ndim > 1 else {name: value} for name, value in shapes.items())
        return {SEED: np.array(0, np.int64), **{key: value for code in codes for key, value in code.items()}}

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        shapes = exchange.expects(state)
        moves = {client: decode(coding, sent, shapes, int(sent[SEED])) for client, sent in update.moves.items()}
        return inner.apply(state, replace(update, moves=moves))

    return replace(inner, exchanges=(replace(exchange, at_worker=train, form="list", expects=expects),), apply=apply)


def encode(coding: Coding, move: Weights, seed: int) -> dict[str, np.ndarray]:
    sent: dict[str, np.ndarray] = {}
    for name, value in move.items():
        if value.ndim > 1:
            sent |= _named(name, coding.encode(value.reshape(-1).astype(np.float32), _random(seed, name)))
        else:
            sent[name] = value
    return sent


def decode(coding: Coding, sent: Weights, shapes: Weights, seed: int) -> dict[str, np.ndarray]:
    return {
        name: coding.decode(under(sent, f"{name}:"), value.size, _random(seed, name)).reshape(value.shape) if value.ndim > 1 else sent[name]
        for name, value in shapes.items()
    }


def _named(name: str, code: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{name}:{part}": value for part, value in code.items()}


def _random(seed: int, name: str) -> np.random.Generator:
    """Each weight's own randomness, from one seed."""
    return np.random.Generator(np.random.PCG64([seed % 2**64, crc32(name.encode())]))
