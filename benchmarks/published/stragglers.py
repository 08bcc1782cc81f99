"""Stragglers as in section 5.2 of FedProx: some of a round's clients get only a part of their epochs done, and what they have is taken in.

Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith: Federated Optimization in Heterogeneous Networks, 2020, https://arxiv.org/abs/1812.06127
"""

from dataclasses import replace

import numpy as np

from fl_core.strategies.fed_prox import fed_prox
from fl_core.strategy import Strategy
from fl_core.types import Client, ClientUpdate, RoundState, Weights


def fed_prox_with_stragglers(mu: float = 0.0, stragglers: float = 0.9, local_epochs: int = 20, batch_size: int = 10) -> Strategy:
    """FedProx in which a client is late with probability `stragglers`, and then does 1 to `local_epochs` epochs, each number as likely as any other."""
    if not 0 <= stragglers <= 1:
        raise ValueError(f"stragglers is {stragglers}; it is a share of the clients, from 0 to 1")
    strategies = [fed_prox(mu, epochs, batch_size=batch_size) for epochs in range(1, local_epochs + 1)]
    (exchange,) = strategies[-1].exchanges

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        random = np.random.Generator(np.random.PCG64(client.seed))
        epochs = int(random.integers(1, local_epochs + 1)) if random.random() < stragglers else local_epochs
        return strategies[epochs - 1].exchanges[0].at_worker(client, state, memory, message)

    return replace(strategies[-1], exchanges=(replace(exchange, at_worker=train),))
