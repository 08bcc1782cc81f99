"""The coordinate-wise trimmed mean: of every weight the largest and the smallest moves are dropped, and the rest averaged.

Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, 2018, https://arxiv.org/abs/1803.01498
"""

import math
from fractions import Fraction

import numpy as np

from fl_core.strategies._checks import from_up_to
from fl_core.strategies._robust import merged_by
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy
from fl_core.types import ModelUpdate, Weights


def trimmed_mean(
    trim: float = 0.1,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
) -> Strategy:
    """FedAvg with a trimmed mean in place of the mean: `trim` is the share of the round's clients dropped at each end, from 0 up to 0.5, rounded down
    to whole clients. It withstands as many attackers as it drops at one end, and needs 1 / trim clients a round, so that it drops one: 10 at the default.
    Clients count equally. The other options are FedAvg's."""
    from_up_to(0, 0.5, trim=trim)
    share = Fraction(str(trim))  # as it is written: 0.29 of 100 clients are 29, where floats have 28.999…
    least = math.ceil(1 / share) if share else 0

    def merge(update: ModelUpdate) -> Weights:
        drop = math.floor(share * len(update.clients))
        return {name: _middle(update, name, drop) for name in update.moves[update.clients[0]]}

    return merged_by(merge, fed_avg(local_epochs, local_steps, batch_size, shuffle), server_learning_rate, least)


def _middle(update: ModelUpdate, name: str, drop: int) -> np.ndarray:
    ordered = np.sort(np.array([update.moves[client][name] for client in update.clients], np.float64), axis=0)
    return np.asarray(ordered[drop : len(ordered) - drop].mean(axis=0))
