import numpy as np

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
