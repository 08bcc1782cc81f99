import numpy as np
from sklearn.datasets import load_digits

from fl_core.datasets.digits import digits


def test_digits_are_floats_from_0_to_1_with_a_fifth_for_the_test() -> None:
    data = digits()
    assert data.test is not None
    assert (data.train.x.shape, data.test.x.shape) == ((1438, 64), (359, 64))
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)
    assert (data.train.x.min(), data.train.x.max()) == (0, 1)
    assert data.columns["label"].tolist() == data.train.y.tolist()


def test_the_seed_decides_the_test_half() -> None:
    first, again, other = digits(), digits(), digits(seed=1)
    assert np.array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.y, other.train.y)


def test_no_test_share_means_no_test_half() -> None:
    data = digits(test_share=0)
    assert data.test is None
    assert len(data.train) == 1797


def test_digits_are_those_of_scikit_learn() -> None:
    x, y = load_digits(return_X_y=True)
    train = digits(test_share=0).train
    assert np.array_equal(np.unique(train.x, axis=0), np.unique((x / 16).astype(np.float32), axis=0))
    assert sorted(train.y.tolist()) == sorted(y.tolist())
