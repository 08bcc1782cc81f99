"""Every class is spread over the clients unevenly, so that each client has its own mix of labels."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.errors import InputError
from fl_core.partitions._deal import Alpha, Clients, Rows, by_number, check_enough, check_labelled
from fl_core.types import CentralData

DRAWS_MAX = 100


def dirichlet(data: CentralData, random: np.random.Generator, *, clients: Clients, alpha: Alpha = 0.5, min_examples: Annotated[int, Field(ge=1)] = 1) -> Rows:
    """Each class's rows in shares drawn from Dirichlet(alpha): the smaller alpha, the fewer labels a client sees.

    A client that has an equal share of the rows gets none of the classes that follow; a draw that leaves anyone below `min_examples` is drawn again.
    Yurochkin, Agarwal, Ghosh, Greenewald, Hoang and Khazaeni 2019, section 4, https://arxiv.org/abs/1905.12022;
    the balance and the second draw: Li, Diao, Chen and He 2022, https://arxiv.org/abs/2102.02079
    """
    y = data.train.y
    check_labelled(y, "dirichlet")
    check_enough(len(y), clients)
    if y.dtype.kind not in "iu":
        raise InputError(f"The partition 'dirichlet' deals classes, but the labels are {y.dtype}; take 'quantity_skew' or 'iid'.")
    if clients * min_examples > len(y):
        raise InputError(
            f"partition.min_examples is {min_examples}, but {len(y)} training examples give {clients} clients {len(y) // clients} each; ask for less."
        )
    classes = [np.flatnonzero(y == label) for label in np.unique(y)]
    for _ in range(DRAWS_MAX):
        hands = _draw(classes, len(y) / clients, random, clients, alpha)
        if min(map(len, hands)) >= min_examples:
            return by_number(hands)
    raise InputError(
        f"partition.alpha is {alpha}; in {DRAWS_MAX} draws there was always one of the {clients} clients with fewer than {min_examples} examples: "
        "ask for a larger alpha or fewer clients."
    )


def _draw(classes: list[np.ndarray], equal_share: float, random: np.random.Generator, clients: int, alpha: float) -> list[np.ndarray]:
    hands: list[list[np.ndarray]] = [[] for _ in range(clients)]
    sizes = np.zeros(clients)
    for rows in classes:
        has_room = sizes < equal_share
        shares = random.dirichlet(np.full(clients, alpha)) * has_room
        # With a tiny alpha all of the class may fall to clients that have no room.
        shares = shares / shares.sum() if shares.sum() else has_room / has_room.sum()
        cuts = (np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        for hand, piece in zip(hands, np.split(random.permutation(rows), cuts), strict=True):
            hand.append(piece)
        sizes = np.array([sum(map(len, hand)) for hand in hands])
    return [np.concatenate(hand) for hand in hands]
