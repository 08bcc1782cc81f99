"""FedDyn: each client's loss is regularised anew every round, so that what clients minimise agrees with what the federation minimises.

Acar, Zhao, Matas Navarro, Mattina, Whatmough, Saligrama: Federated Learning Based on Dynamic Regularization, 2021, https://arxiv.org/abs/2111.04263
"""

from fl_core.strategies._checks import above
from fl_core.strategies.fed_avg import local_work
from fl_core.strategy import Exchange, Strategy, add, zeros
from fl_core.types import Client, ClientUpdate, Correction, ModelUpdate, RoundState, Weights


def fed_dyn(alpha: float = 0.01, local_epochs: int = 1, local_steps: int | None = None, batch_size: int = 10, shuffle: bool = True) -> Strategy:
    """A client minimises loss - <g, weights> + alpha / 2 * |weights - the round's|**2 and then takes alpha * move from its own g, which is its memory.

    The server's memory h loses alpha * (the share that took part) * mean move; the weights become the clients' mean - h / alpha. `alpha` is in
    units of 1 / learning rate. Clients weigh equally, as in the paper; batch statistics are averaged. The other options are FedAvg's.
    """
    above(0, alpha=alpha)
    work = local_work(local_epochs, local_steps, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        shift = {name: -gradient for name, gradient in memory.items()}
        trained = client.fit(state.weights, work, Correction(pull=alpha, towards=state.weights, shift=shift))
        kept = {name: memory.get(name, 0) - alpha * trained.move[name] for name in state.memory}
        return ClientUpdate(trained.move, weight=1, metrics=trained.metrics), kept

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        mean, share = update.mean(), len(update.clients) / update.population
        drift = {name: old - alpha * share * mean[name] for name, old in state.memory.items()}
        return state.next(add(add(state.weights, mean), drift, -1 / alpha), drift)

    return Strategy(exchanges=(Exchange("train", train, weigh="equally"),), apply=apply, init=zeros, work=work)
