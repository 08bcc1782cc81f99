"""A strategy whose clients do nothing, to see what everything else costs."""

from dataclasses import replace

import numpy as np

from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Exchange, Strategy
from fl_core.types import Client, ClientUpdate, RoundState, Weights

CLIENTS_PER_ROUND = 100


def nothing() -> Strategy:
    """FedAvg without training: each client replies that nothing moved."""

    def at_worker(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        return ClientUpdate({name: np.zeros_like(value) for name, value in state.weights.items()}, weight=client.examples), memory

    return replace(fed_avg(), exchanges=(Exchange("train", at_worker),))
