"""FedSGD: each client takes one step on the gradient of all its examples; the baseline that FedAvg is measured against.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-Efficient Learning of Deep Networks from Decentralized Data, 2017,
https://arxiv.org/abs/1602.05629
"""

from fl_core.strategies.fed_avg import averaged
from fl_core.strategy import Strategy
from fl_core.types import Client, ClientUpdate, LocalWork, RoundState, Weights


def fed_sgd(server_learning_rate: float = 1.0) -> Strategy:
    """One full-batch step per client and round, averaged by examples: with the local optimizer SGD, a step of SGD on the union of the round's clients.
    `server_learning_rate` multiplies the local optimizer's learning rate."""

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        trained = client.fit(state.weights, LocalWork(steps=1, batch_size=client.examples, shuffle=False))
        return ClientUpdate(trained.move, weight=trained.examples, metrics=trained.metrics), memory

    return averaged(train, server_learning_rate, "examples", LocalWork())
