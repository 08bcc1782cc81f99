"""The baselines of Gru4Rec's benchmark, on sessions small enough to count by hand."""

import numpy as np
import pytest

from benchmarks import next_item
from benchmarks.next_item import baselines
from fl_core.types import Examples

# Sessions 1 2, 1 2, 1 3, 4 5 4; the test sessions are 1 2 1 and 4 5.  By popularity: 1, 2 and 4, 3 and 5.
TRAIN = Examples(np.array([[1, 0], [1, 0], [1, 0], [4, 5]]), np.array([[2, 0], [2, 0], [3, 0], [5, 4]]))
TEST = Examples(np.array([[1, 2], [4, 0]]), np.array([[2, 1], [5, 0]]))


@pytest.mark.parametrize(("name", "recall", "reciprocal_rank"), [
    ("popular", 1 / 3, 1 / 3),  # always 1
    ("session_popular", 1 / 3, 1 / 3),  # 1; of 1 and 2 once each the more popular 1; 4
    ("item_knn", 1, 1),  # 1 is mostly with 2, 2 with 1 alone, 4 with 5 alone
    ("markov", 1, 1),  # after 1 mostly 2, after 4 always 5; nothing ever followed 2, so the popular 1
])  # fmt: skip
def test_the_first_of_each_list_is_as_counted_by_hand(monkeypatch: pytest.MonkeyPatch, name: str, recall: float, reciprocal_rank: float) -> None:
    monkeypatch.setattr(next_item, "TOP", 1)
    assert baselines(TRAIN, TEST, items=5)[name] == pytest.approx((recall, reciprocal_rank))


def test_longer_lists_go_on_with_the_popular_items() -> None:
    found = baselines(TRAIN, TEST, items=5)
    assert found["popular"] == pytest.approx((1, (1 / 2 + 1 + 1 / 5) / 3))
    assert found["session_popular"][0] == 1
