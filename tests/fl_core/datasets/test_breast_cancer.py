import numpy as np
import pytest

from fl_core.datasets.breast_cancer import breast_cancer
from fl_core.errors import InputError


def test_features_are_standardised_by_the_training_half() -> None:
    data = breast_cancer()
    assert data.test is not None
    assert (data.train.x.shape, data.test.x.shape) == ((455, 30), (114, 30))
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)
    assert np.allclose(data.train.x.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(data.train.x.std(axis=0), 1, atol=1e-5)
    assert not np.allclose(data.test.x.mean(axis=0), 0, atol=1e-6)


def test_a_test_share_that_empties_a_half_is_refused() -> None:
    with pytest.raises(InputError, match=r"data.test_share is 0.9999, which leaves 0 of 569 examples to train on; give both halves some."):
        breast_cancer(test_share=0.9999)
