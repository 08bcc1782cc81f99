"""Norm bounding: a move that is longer than a bound is scaled down to it, so that nobody can replace the model by shouting.

Sun, Kairouz, Suresh, McMahan: Can You Really Backdoor Federated Learning?, 2019, https://arxiv.org/abs/1911.07963
"""

import numpy as np

from fl_core.strategies._checks import above
from fl_core.strategies._robust import merged_by
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy
from fl_core.types import ModelUpdate, Weights


def norm_bound(
    bound: float = 1.0,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
) -> Strategy:
    """FedAvg whose server scales each client's move to an L2 norm of at most `bound`, in units of the weights, before it takes the mean.

    Clients count equally: a reported number of examples would be another way to shout. The server does it, because an attacker would not; so it sees
    every move. The other options are FedAvg's.
    """
    above(0, bound=bound)

    def merge(update: ModelUpdate) -> Weights:
        total = {name: np.zeros(np.shape(value)) for name, value in update.moves[update.clients[0]].items()}
        for client in update.clients:
            move = update.moves[client]
            share = bound / max(length(move), bound) / len(update.clients)
            total = {name: total[name] + share * move[name].astype(np.float64) for name in total}
        return total

    return merged_by(merge, fed_avg(local_epochs, local_steps, batch_size, shuffle), server_learning_rate)


def length(move: Weights) -> float:
    """The L2 norm of a whole move."""
    return float(np.sqrt(sum(np.sum(np.square(value, dtype=np.float64)) for value in move.values())))
