"""Every client gets an equal random share."""

import numpy as np

from fl_core.partitions._deal import Clients, Rows, by_number, check_enough
from fl_core.types import CentralData


def iid(data: CentralData, random: np.random.Generator, *, clients: Clients) -> Rows:
    """Shuffled rows in equal parts; where they do not divide, the first clients have one more."""
    check_enough(len(data.train), clients)
    return by_number(np.array_split(random.permutation(len(data.train)), clients))
