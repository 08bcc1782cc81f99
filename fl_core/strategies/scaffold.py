"""SCAFFOLD: control variates at the server and at each client correct the drift of clients whose data differ.

Karimireddy, Kale, Mohri, Reddi, Stich, Suresh: SCAFFOLD: Stochastic Controlled Averaging for Federated Learning, 2020, https://arxiv.org/abs/1910.06378
Option II of the paper's Algorithm 1: a client's new variate is made of the move that it has trained anyway.
"""

from fl_core.strategies._checks import above
from fl_core.strategies.fed_avg import local_work
from fl_core.strategy import Exchange, Strategy, add, zeros
from fl_core.types import Client, ClientUpdate, Correction, ModelUpdate, RoundState, Weights

CONTROL = "control/"


def scaffold(local_epochs: int = 1, local_steps: int | None = None, batch_size: int = 10, shuffle: bool = True, server_learning_rate: float = 1.0) -> Strategy:
    """SCAFFOLD for a local optimizer SGD, whose learning rate the update of the variates divides by. Clients weigh equally, as in the paper.

    The server's memory holds the variate c, a client's memory its own c_i, of each trainable weight; batch statistics are averaged.
    `server_learning_rate` is the paper's global step size; the other options are FedAvg's.
    """
    above(0, server_learning_rate=server_learning_rate)
    work = local_work(local_epochs, local_steps, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        if not client.learning_rate > 0:
            raise ValueError(f"the local learning rate is {client.learning_rate}; scaffold divides by it")
        shift = {name: control - memory[name] if name in memory else control for name, control in state.memory.items()}
        trained = client.fit(state.weights, work, Correction(shift=shift))
        scale = 1.0 / (trained.steps * client.learning_rate)
        change = {name: -control - scale * trained.move[name] for name, control in state.memory.items()}
        kept = {name: memory[name] + change[name] if name in memory else change[name] for name in change}
        move = {**trained.move, **{f"{CONTROL}{name}": value for name, value in change.items()}}
        return ClientUpdate(move, weight=1, metrics=trained.metrics), kept

    def expects(state: RoundState) -> Weights:
        return {**state.weights, **{f"{CONTROL}{name}": value for name, value in state.memory.items()}}

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        mean = update.mean()
        share = len(update.clients) / update.population
        controls = {name: control + share * mean[f"{CONTROL}{name}"] for name, control in state.memory.items()}
        return state.next(add(state.weights, mean, server_learning_rate), controls)

    return Strategy(exchanges=(Exchange("train", train, expects=expects, weigh="equally"),), apply=apply, init=zeros, work=work)
