"""Federated averaging: clients train locally, the server takes the mean of their models, weighed by examples.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-Efficient Learning of Deep Networks from Decentralized Data, 2017,
https://arxiv.org/abs/1602.05629
"""

from collections.abc import Callable
from dataclasses import replace

from fl_core.strategies._checks import above
from fl_core.strategy import AtWorker, Exchange, Strategy, Weigh, add, all_weights
from fl_core.types import Client, ClientUpdate, LocalWork, ModelUpdate, RoundState, Weights


def fed_avg(
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
    weigh: Weigh = "examples",
) -> Strategy:
    """FedAvg. A client does `local_epochs` over its examples, or exactly `local_steps` batches where given, in batches of `batch_size` examples;
    the mean move, of clients weighed by `examples` or `equally`, is applied times `server_learning_rate` (1: plain averaging)."""
    work = local_work(local_epochs, local_steps, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        trained = client.fit(state.weights, work)
        return ClientUpdate(trained.move, weight=trained.examples, metrics=trained.metrics), memory

    return averaged(train, server_learning_rate, weigh, work)


def averaged(train: AtWorker, server_learning_rate: float, weigh: Weigh, work: LocalWork, expects: Callable[[RoundState], Weights] = all_weights) -> Strategy:
    """FedAvg of clients who train in some other way, as much as `work`: the mean of their moves, weighed as `train` says, by examples, or `equally`."""
    above(0, server_learning_rate=server_learning_rate)

    def equally(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        update, kept = train(client, state, memory, message)
        return replace(update, weight=1), kept

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        return state.next(add(state.weights, update.mean(), server_learning_rate))

    exchange = Exchange("train", equally if weigh == "equally" else train, expects=expects, weigh=weigh)
    return Strategy(exchanges=(exchange,), apply=apply, work=work)


def local_work(local_epochs: int, local_steps: int | None, batch_size: int, shuffle: bool = True) -> LocalWork:
    """The local work that a strategy's options describe; ValueError for what cannot be done."""
    for name, value in {"local_epochs": local_epochs, "local_steps": local_steps, "batch_size": batch_size}.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it is at least 1")
    return LocalWork(local_epochs, local_steps, batch_size, shuffle)
