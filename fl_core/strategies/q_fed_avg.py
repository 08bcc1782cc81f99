"""q-FedAvg: clients whose loss is high count for more, which makes accuracy more even over the clients.

Li, Sanjabi, Beirami, Smith: Fair Resource Allocation in Federated Learning, 2020, https://arxiv.org/abs/1905.10497
"""

from dataclasses import replace

import numpy as np

from fl_core.strategies._checks import at_least
from fl_core.strategies.fed_avg import local_work
from fl_core.strategy import Exchange, Strategy, add, names_only
from fl_core.types import Client, ClientUpdate, ModelUpdate, RoundState, Weights

LOSS, CURVATURE = "fair/loss", "fair/curvature"
LOSS_MIN = 1e-10


def q_fed_avg(q: float = 1.0, local_epochs: int = 1, local_steps: int | None = None, batch_size: int = 10, shuffle: bool = True) -> Strategy:
    """The weights move by sum(loss**q * move) / sum(loss**q + q * loss**(q - 1) * |move|**2 / learning rate), over the round's clients.

    `loss` is a client's mean loss at the round's weights (`start_loss` in its figures). `q` has no unit: 0 counts clients equally, the larger
    the fairer. Batch statistics are averaged. The other options are FedAvg's.

    The server divides both sums by the round's largest loss**q, which no client knows, so that no power over- or underflows; replies are kept apart for it.
    """
    at_least(0, q=q)
    work = local_work(local_epochs, local_steps, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        if not client.learning_rate > 0:
            raise ValueError(f"the local learning rate is {client.learning_rate}; q_fed_avg divides by it")
        loss = client.loss(state.weights)
        if not loss >= 0:
            raise ValueError(f"the loss at the start is {loss}; q_fed_avg raises it to a power, so it is at least 0")
        trained = client.fit(state.weights, work)
        squared = sum(float(np.sum(np.square(trained.move[name], dtype=np.float64))) for name in state.memory)
        fair = {LOSS: np.array(float(loss)), CURVATURE: np.array(squared / client.learning_rate)}
        return ClientUpdate({**trained.move, **fair}, weight=1, metrics={**trained.metrics, "start_loss": loss}), memory

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        losses = {client: max(float(update.moves[client][LOSS]), LOSS_MIN) for client in update.clients}
        largest = max(losses.values())
        shares = {client: (loss / largest) ** q for client, loss in losses.items()}  # the largest loss has the share 1, so that no sum is 0
        step = sum(share * (1 + q / losses[client] * max(float(update.moves[client][CURVATURE]), 0.0)) for client, share in shares.items() if share)
        fair, plain = replace(update, weights=shares).mean(), update.mean()
        scale = sum(shares.values()) / step
        return state.next(add(state.weights, {name: fair[name] * scale if name in state.memory else plain[name] for name in state.weights}))

    def expects(state: RoundState) -> Weights:
        return {**state.weights, LOSS: np.zeros(()), CURVATURE: np.zeros(())}

    return Strategy(exchanges=(Exchange("train", train, form="list", expects=expects, weigh="equally"),), apply=apply, init=names_only, work=work)
