"""A fixed number of clients, the likelier the more examples they hold."""

from collections.abc import Sequence

import numpy as np

from fl_core.selections._checks import check_count, check_enough
from fl_core.strategy import Draw, Select


def by_size(clients_per_round: int) -> Select:
    """Draws `clients_per_round` clients one after the other without replacement, each draw with probabilities in proportion to their examples.
    Who weighs clients by examples as well counts large ones twice: `strategy.weigh: equally` does not."""
    check_count(clients_per_round)

    def select(draw: Draw) -> Sequence[str]:
        check_enough(draw, clients_per_round)
        return [draw.clients[i] for i in sorted(drawn_by_size(draw, clients_per_round))]

    return select


def drawn_by_size(draw: Draw, count: int) -> list[int]:
    """The places of `count` clients, drawn without replacement in proportion to their examples."""
    sizes = np.fromiter(draw.sizes, np.float64, len(draw.sizes))
    return [int(place) for place in draw.random.choice(len(sizes), size=count, replace=False, p=sizes / sizes.sum())]
