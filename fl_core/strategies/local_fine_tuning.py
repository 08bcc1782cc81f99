"""Local fine-tuning: clients train a shared model together, and each adapts a copy of it to its own data.

Wang, Mathews, Kiddon, Eichner, Beaufays, Ramage: Federated Evaluation of On-device Personalization, 2019, https://arxiv.org/abs/1910.10252
"""

from dataclasses import replace

from fl_core.strategies._checks import at_least
from fl_core.strategies._personal import prefixed
from fl_core.strategies.fed_avg import averaged, local_work
from fl_core.strategy import Strategy, Weigh, add
from fl_core.types import Client, ClientUpdate, RoundState, Weights


def local_fine_tuning(
    fine_tune_epochs: int = 1,
    from_round: int = 1,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
    weigh: Weigh = "examples",
) -> Strategy:
    """FedAvg, and from round `from_round` on each client that takes part also trains the round's weights for `fine_tune_epochs` on its own examples.

    The tuned model is the client's memory, made anew of the shared one each time; its figures are the client's `tuned_...`, with
    `evaluate.around_training` also its held-out metrics before and after. Nothing of it is sent. The other options are FedAvg's.
    """
    at_least(1, fine_tune_epochs=fine_tune_epochs, from_round=from_round)
    work, tuning = local_work(local_epochs, local_steps, batch_size, shuffle), local_work(fine_tune_epochs, None, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        trained = client.fit(state.weights, work)
        update = ClientUpdate(trained.move, weight=trained.examples, metrics=trained.metrics)
        if state.round < from_round:
            return update, memory
        tuned = client.fit(state.weights, tuning)
        return replace(update, metrics={**trained.metrics, **prefixed("tuned_", tuned.metrics)}), add(state.weights, tuned.move)

    return averaged(train, server_learning_rate, weigh, work)
