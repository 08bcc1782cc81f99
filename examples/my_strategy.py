"""A strategy of your own: clients weigh by the square root of their examples, so that large ones do not drown the others, and the server calms down."""

import math

from fl_core.strategy import Exchange, Strategy, add
from fl_core.types import Client, ClientUpdate, LocalWork, ModelUpdate, RoundState, Weights


def fed_mine(local_epochs: int = 1, batch_size: int = 10, half_life_rounds: float = 50.0) -> Strategy:
    """What a job writes under `strategy:` arrives here, checked against these annotations. After `half_life_rounds` the server's steps are half as long."""

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        """At the worker, for one client: train from the round's weights, and say how far they moved and how much that counts."""
        trained = client.fit(state.weights, LocalWork(epochs=local_epochs, batch_size=batch_size))
        return ClientUpdate(trained.move, weight=math.sqrt(trained.examples), metrics=trained.metrics), memory

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        """At the server, once a round: turn the weighted mean of the moves into the next weights."""
        learning_rate = 0.5 ** ((state.round - 1) / half_life_rounds)
        return state.next(add(state.weights, update.mean(), learning_rate))

    return Strategy(exchanges=(Exchange("train", train),), apply=apply)
