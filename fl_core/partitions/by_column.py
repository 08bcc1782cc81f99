"""Every client is a value of a column: a writer, a hospital, a player."""

from typing import Any

import numpy as np

from fl_core.errors import InputError, did_you_mean
from fl_core.partitions._deal import Clients, Rows
from fl_core.types import CentralData


def by_column(data: CentralData, random: np.random.Generator, *, column: str, max_clients: Clients | None = None) -> Rows:
    """The rows of each value, in their order; with `max_clients`, of the first so many names. Nothing here is random.

    Words name clients as they are; whole numbers become `<column>-007`, with zeros in front so that names sort like their numbers.
    """
    if column not in data.columns:
        raise InputError(f"partition.column is '{column}', which the data do not have; {did_you_mean(column, data.columns)}")
    values, counts = np.unique(data.columns[column], return_counts=True)
    hands = np.split(np.argsort(data.columns[column], kind="stable"), np.cumsum(counts)[:-1])
    rows = dict(zip(_names(column, values.tolist()), hands, strict=True))
    return dict(sorted(rows.items())[:max_clients])


def _names(column: str, values: list[Any]) -> list[str]:
    if isinstance(values[0], int):
        width = max(len(str(value)) for value in values)
        return [f"{column}-{value:0{width}d}" for value in values]
    return [str(value) for value in values]
