"""Multi-Krum: the mean of those moves that lie closest to their neighbours; a few attackers far from the crowd are never chosen.

Blanchard, El Mhamdi, Guerraoui, Stainer: Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, 2017,
https://proceedings.neurips.cc/paper/2017/hash/f4b9ec30ad9f68f89b29639786cb62ef-Abstract.html
"""

import numpy as np

from fl_core.strategies._checks import at_least
from fl_core.strategies._robust import merged_by
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy
from fl_core.types import ModelUpdate, Weights


def multi_krum(
    byzantine: int = 1,
    keep: int = 2,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
) -> Strategy:
    """FedAvg with the mean of the `keep` clients of lowest score in place of the mean of all; they count equally.

    A client's score is the sum of its squared distances to its n - byzantine - 2 nearest of the round's n clients. It withstands `byzantine` attackers
    a round and needs n >= 2 * byzantine + 3; a round with fewer is below its quorum. The other options are FedAvg's.
    """
    at_least(0, byzantine=byzantine)
    least = 2 * byzantine + 3
    at_least(1, keep=keep)
    if keep > least - byzantine:
        raise ValueError(f"keep is {keep}; of the {least} clients that a round may come down to, at most {least - byzantine} are no attackers")

    def merge(update: ModelUpdate) -> Weights:
        order = np.argsort(scores(update, byzantine), kind="stable")[:keep]
        chosen = [update.moves[update.clients[place]] for place in sorted(order.tolist())]
        return {name: np.mean([move[name] for move in chosen], axis=0, dtype=np.float64) for name in chosen[0]}

    return merged_by(merge, fed_avg(local_epochs, local_steps, batch_size, shuffle), server_learning_rate, least)


def scores(update: ModelUpdate, byzantine: int) -> np.ndarray:
    """Each client's sum of squared distances to its nearest neighbours, in the order of the clients."""
    count = len(update.clients)
    squared = np.zeros((count, count))
    for name in update.moves[update.clients[0]]:
        flat = [update.moves[client][name].astype(np.float64).reshape(-1) for client in update.clients]
        for i in range(count):
            for j in range(i):
                gap = flat[i] - flat[j]
                squared[i, j] = squared[j, i] = squared[i, j] + gap @ gap
    nearest = np.sort(squared, axis=1)[:, 1 : count - byzantine - 1]
    return np.asarray(nearest.sum(axis=1))
