"""Every client gets random rows, some clients many and some few."""

import numpy as np

from fl_core.partitions._deal import Alpha, Clients, Rows, by_number, check_enough
from fl_core.types import CentralData


def quantity_skew(data: CentralData, random: np.random.Generator, *, clients: Clients, alpha: Alpha = 0.5) -> Rows:
    """Shuffled rows in parts whose sizes are drawn from Dirichlet(alpha): the smaller alpha, the more uneven. Each client has at least one.

    Li, Diao, Chen and He 2022, section IV-C, https://arxiv.org/abs/2102.02079
    """
    rows = len(data.train)
    check_enough(rows, clients)
    edges = np.cumsum(random.dirichlet(np.full(clients, alpha)))[:-1] * (rows - clients)
    cuts = edges.astype(np.int64) + np.arange(1, clients)
    return by_number(np.split(random.permutation(rows), cuts))
