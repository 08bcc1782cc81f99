import numpy as np
import pytest

from fl_core.errors import InputError
from fl_core.partitions.iid import iid
from fl_core.types import CentralData, Examples

DATA = CentralData(Examples(np.zeros((10, 1)), np.zeros(10, np.int64)))


def test_every_row_is_dealt_once_and_sizes_differ_by_one_at_most() -> None:
    rows = iid(DATA, np.random.default_rng(1), clients=3)
    assert [len(hand) for hand in rows.values()] == [4, 3, 3]
    assert sorted(np.concatenate(list(rows.values()))) == list(range(10))


def test_clients_are_numbered_to_one_width() -> None:
    assert list(iid(DATA, np.random.default_rng(1), clients=2)) == ["client-0", "client-1"]
    many = CentralData(Examples(np.zeros((11, 1)), np.zeros(11, np.int64)))
    assert list(iid(many, np.random.default_rng(1), clients=11))[:2] == ["client-00", "client-01"]


def test_more_clients_than_examples_are_refused() -> None:
    with pytest.raises(InputError, match=r"partition.clients is 11, but there are 10 training examples; ask for at most 10 clients."):
        iid(DATA, np.random.default_rng(1), clients=11)
