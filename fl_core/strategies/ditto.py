"""Ditto: beside the shared model each client trains one of its own, pulled towards the shared one.

Li, Hu, Beirami, Smith: Ditto: Fair and Robust Federated Learning Through Personalization, 2021, https://arxiv.org/abs/2012.04221
"""

from fl_core.strategies._checks import at_least
from fl_core.strategies._personal import prefixed
from fl_core.strategies.fed_avg import averaged, local_work
from fl_core.strategy import Strategy, Weigh, add
from fl_core.types import Client, ClientUpdate, Correction, RoundState, Weights


def ditto(
    pull: float = 0.1,
    personal_epochs: int = 1,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
    weigh: Weigh = "examples",
) -> Strategy:
    """FedAvg, and in each client's memory a personal model: it begins as the shared one and is trained for `personal_epochs` a round on
    loss + pull / 2 * |personal - shared|**2. `pull` (the paper's lambda) is in units of 1 / learning rate.

    The personal model's figures are the client's `personal_...`; with `evaluate.around_training` they include its held-out metrics. Where the job keeps
    optimizer state, both models would share it: leave `optimizer.state` at reset. The other options are FedAvg's.
    """
    at_least(0, pull=pull)
    at_least(1, personal_epochs=personal_epochs)
    work = local_work(local_epochs, local_steps, batch_size, shuffle)
    own_work = local_work(personal_epochs, None, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        shared = client.fit(state.weights, work)
        personal = memory or state.weights
        own = client.fit(personal, own_work, Correction(pull=pull, towards=state.weights))
        return ClientUpdate(shared.move, shared.examples, {**shared.metrics, **prefixed("personal_", own.metrics)}), add(personal, own.move)

    return averaged(train, server_learning_rate, weigh, work)
