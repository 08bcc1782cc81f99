"""FedProx: local training is pulled towards the round's weights, so that clients of unequal data and unequal work do not drift apart.

Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith: Federated Optimization in Heterogeneous Networks, 2020, https://arxiv.org/abs/1812.06127
"""

from fl_core.strategies._checks import at_least
from fl_core.strategies.fed_avg import averaged, local_work
from fl_core.strategy import Strategy, Weigh
from fl_core.types import Client, ClientUpdate, Correction, RoundState, Weights


def fed_prox(
    mu: float = 0.01,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
    weigh: Weigh = "examples",
) -> Strategy:
    """FedAvg whose clients minimise loss + mu / 2 * |weights - the round's weights|**2. `mu` is in units of 1 / learning rate; 0 is FedAvg.
    The paper draws clients by size and weighs them `equally`. The other options are FedAvg's."""
    at_least(0, mu=mu)
    work = local_work(local_epochs, local_steps, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        trained = client.fit(state.weights, work, Correction(pull=mu, towards=state.weights))
        return ClientUpdate(trained.move, weight=trained.examples, metrics=trained.metrics), memory

    return averaged(train, server_learning_rate, weigh, work)
