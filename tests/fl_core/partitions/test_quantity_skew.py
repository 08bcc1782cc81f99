import numpy as np
import pytest

from fl_core.errors import InputError
from fl_core.partitions.quantity_skew import quantity_skew
from fl_core.types import CentralData, Examples

DATA = CentralData(Examples(np.zeros((100, 1)), np.zeros(100)))


def sizes(clients: int, alpha: float) -> list[int]:
    rows = quantity_skew(DATA, np.random.default_rng(1), clients=clients, alpha=alpha)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(100))
    return sorted(map(len, rows.values()))


def test_a_small_alpha_gives_one_client_almost_all_and_nobody_nothing() -> None:
    assert sizes(clients=5, alpha=0.001) == [1, 1, 1, 1, 96]


def test_a_large_alpha_gives_equal_parts() -> None:
    assert max(sizes(clients=5, alpha=1e6)) - min(sizes(clients=5, alpha=1e6)) <= 2


def test_as_many_clients_as_rows_have_one_each() -> None:
    assert sizes(clients=100, alpha=0.5) == [1] * 100


def test_more_clients_than_rows_are_refused() -> None:
    with pytest.raises(InputError, match=r"partition.clients is 101, but there are 100 training examples"):
        sizes(clients=101, alpha=0.5)
