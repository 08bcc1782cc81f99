"""scikit-learn's handwritten digits: 1 797 images of 8 x 8 pixels."""

import numpy as np
from sklearn.datasets import load_digits

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import split_test
from fl_core.types import CentralData, Examples


def digits(test_share: TestShare = 0.2, seed: Seed = 0) -> CentralData:
    """x (N, 64) float32 from 0 to 1, y (N,) int64 from 0 to 9, column `label`; the seed decides which rows are the test half."""
    x, y = load_digits(return_X_y=True)
    y = y.astype(np.int64)
    return split_test(Examples((x / 16).astype(np.float32), y), {"label": y}, test_share, seed)
