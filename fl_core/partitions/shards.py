"""Every client gets a few shards of rows sorted by label, and so sees few labels."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.errors import InputError
from fl_core.partitions._deal import Clients, Rows, by_number, check_enough, check_labelled
from fl_core.types import CentralData


def shards(data: CentralData, random: np.random.Generator, *, clients: Clients, shards_per_client: Annotated[int, Field(ge=1)] = 2) -> Rows:
    """Rows sorted by label, cut into clients * shards_per_client equal shards, dealt at random.

    McMahan, Moore, Ramage, Hampson and Agüera y Arcas 2017, section 3, https://arxiv.org/abs/1602.05629
    """
    rows, count = len(data.train), clients * shards_per_client
    check_labelled(data.train.y, "shards")
    check_enough(rows, clients)
    if count > rows:
        raise InputError(
            f"partition.shards_per_client is {shards_per_client}, so {clients} clients need {count} shards of {rows} training examples; ask for fewer."
        )
    pieces = np.array_split(np.argsort(data.train.y, kind="stable"), count)
    dealt = random.permutation(count).reshape(clients, shards_per_client)
    return by_number([np.concatenate([pieces[shard] for shard in hand]) for hand in dealt])
