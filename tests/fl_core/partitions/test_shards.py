import numpy as np
import pytest

from fl_core.errors import InputError
from fl_core.partitions.shards import shards
from fl_core.types import CentralData, Examples

DATA = CentralData(Examples(np.zeros((8, 1)), np.array([3, 1, 0, 2, 2, 0, 1, 3])))


def test_a_shard_holds_neighbours_in_label_order() -> None:
    rows = shards(DATA, np.random.default_rng(1), clients=4, shards_per_client=1)
    assert sorted(map(tuple, rows.values())) == [(0, 7), (1, 6), (2, 5), (3, 4)]


def test_two_shards_show_a_client_two_labels_at_most() -> None:
    rows = shards(DATA, np.random.default_rng(1), clients=2, shards_per_client=2)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(8))
    assert all(len(set(DATA.train.y[hand])) <= 2 for hand in rows.values())


def test_more_shards_than_rows_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        shards(DATA, np.random.default_rng(1), clients=4, shards_per_client=3)
    assert str(caught.value) == "partition.shards_per_client is 3, so 4 clients need 12 shards of 8 training examples; ask for fewer."


def test_labels_of_several_steps_are_refused() -> None:
    sessions = CentralData(Examples(np.ones((8, 3), np.int32), np.ones((8, 3), np.int32)))
    with pytest.raises(InputError) as caught:
        shards(sessions, np.random.default_rng(1), clients=2)
    assert str(caught.value) == (
        "The partition 'shards' deals by one label an example, but an example's y has the shape (3,); take 'iid', 'quantity_skew' or 'by_column'."
    )
