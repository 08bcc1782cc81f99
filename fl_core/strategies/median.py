"""The coordinate-wise median of the clients' moves: up to half of the clients may send anything without moving it far.

Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, 2018, https://arxiv.org/abs/1803.01498
"""

import numpy as np

from fl_core.strategies._robust import merged_by
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy
from fl_core.types import ModelUpdate, Weights


def median(local_epochs: int = 1, local_steps: int | None = None, batch_size: int = 10, shuffle: bool = True, server_learning_rate: float = 1.0) -> Strategy:
    """FedAvg with the median in place of the mean, of every weight and of batch statistics too; clients count equally, whatever their examples.
    With an even number of clients it is the mean of the two in the middle. The options are FedAvg's."""
    return merged_by(_median, fed_avg(local_epochs, local_steps, batch_size, shuffle), server_learning_rate)


def _median(update: ModelUpdate) -> Weights:
    first = update.moves[update.clients[0]]
    return {name: np.median([update.moves[client][name].astype(np.float64) for client in update.clients], axis=0) for name in first}
