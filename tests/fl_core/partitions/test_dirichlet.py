import numpy as np
import pytest

from fl_core.builder import build
from fl_core.errors import InputError
from fl_core.partitions.dirichlet import dirichlet
from fl_core.types import CentralData, Examples

DATA = CentralData(Examples(np.zeros((100, 1)), np.arange(100) % 2))


def test_every_row_is_dealt_once_and_nobody_is_below_the_least() -> None:
    rows = dirichlet(DATA, np.random.default_rng(1), clients=5, alpha=0.1, min_examples=10)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(100))
    assert min(map(len, rows.values())) >= 10


def test_a_small_alpha_parts_the_labels_and_a_large_one_mixes_them() -> None:
    def share_of_ones(alpha: float) -> list[float]:
        rows = dirichlet(DATA, np.random.default_rng(1), clients=4, alpha=alpha)
        return [float(DATA.train.y[hand].mean()) for hand in rows.values()]

    assert max(share_of_ones(0.01)) - min(share_of_ones(0.01)) > 0.9
    assert max(share_of_ones(1e6)) - min(share_of_ones(1e6)) < 0.1


def test_an_alpha_of_almost_nothing_deals_all_rows_all_the_same() -> None:
    rows = dirichlet(DATA, np.random.default_rng(1), clients=2, alpha=1e-6)
    assert sorted(map(len, rows.values())) == [50, 50]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"clients": 5, "alpha": 0}, "partition.alpha is 0; it is above 0."),
        ({"clients": 0}, "partition.clients is 0; it is at least 1."),
        ({"clients": 101}, "partition.clients is 101, but there are 100 training examples; ask for at most 100 clients."),
        ({"clients": 5, "min_examples": 21}, "partition.min_examples is 21, but 100 training examples give 5 clients 20 each; ask for less."),
        (
            {"clients": 50, "alpha": 0.01, "min_examples": 2},
            "partition.alpha is 0.01; in 100 draws there was always one of the 50 clients with fewer than 2 examples: ask for a larger alpha or fewer clients.",
        ),
    ],
)
def test_a_deal_that_cannot_be_is_refused_in_one_sentence(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        build(dirichlet, "partition", "dirichlet", options, {"data": DATA, "random": np.random.default_rng(1)})
    assert str(caught.value) == sentence


def test_labels_that_are_no_classes_are_refused() -> None:
    data = CentralData(Examples(np.zeros((2, 1)), np.array([0.5, 1.5], np.float32)))
    with pytest.raises(InputError, match="deals classes, but the labels are float32; take 'quantity_skew' or 'iid'"):
        dirichlet(data, np.random.default_rng(1), clients=2)


def test_labels_of_several_steps_are_refused() -> None:
    sessions = CentralData(Examples(np.ones((8, 3), np.int32), np.ones((8, 3), np.int32)))
    with pytest.raises(InputError) as caught:
        dirichlet(sessions, np.random.default_rng(1), clients=2)
    assert str(caught.value) == (
        "The partition 'dirichlet' deals by one label an example, but an example's y has the shape (3,); take 'iid', 'quantity_skew' or 'by_column'."
    )
