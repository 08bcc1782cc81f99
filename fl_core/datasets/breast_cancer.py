"""scikit-learn's breast cancer set (Wisconsin, diagnostic): 569 patients, 30 measurements, malignant or benign."""

import numpy as np
from sklearn.datasets import load_breast_cancer

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import scale, split_test
from fl_core.types import CentralData, Examples


def breast_cancer(test_share: TestShare = 0.2, seed: Seed = 0) -> CentralData:
    """x (N, 30) float32, standardised by the training half, y (N,) int64 with 1 for benign, column `label`."""
    x, y = load_breast_cancer(return_X_y=True)
    y = y.astype(np.int64)
    return scale(split_test(Examples(x, y), {"label": y}, test_share, seed))
