"""What partitions share: the options' types, names for the hands that were dealt, and the check that there is enough to deal."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.errors import InputError
from fl_core.names import NumberedNames

Clients = Annotated[int, Field(ge=1, le=10_000_000)]
Alpha = Annotated[float, Field(gt=0, le=1e6)]
Rows = dict[str, np.ndarray]


def by_number(hands: Sequence[np.ndarray]) -> Rows:
    """The hands as rows of `client-0`, `client-1`, …"""
    return dict(zip(NumberedNames(len(hands)), hands, strict=True))


def check_labelled(y: np.ndarray, partition: str) -> None:
    """InputError unless each example has one label, which is what the partition deals by."""
    if y.ndim != 1:
        raise InputError(
            f"The partition '{partition}' deals by one label an example, but an example's y has the shape {y.shape[1:]}; "
            "take 'iid', 'quantity_skew' or 'by_column'."
        )


def check_enough(rows: int, clients: int) -> None:
    """InputError unless each client can have a row."""
    if clients > rows:
        raise InputError(f"partition.clients is {clients}, but there are {rows} training examples; ask for at most {rows} clients.")
