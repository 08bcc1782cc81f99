"""scikit-learn's handwritten digits: 1 797 images of 8 x 8 pixels."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import split_test
from fl_core.errors import InputError
from fl_core.types import CentralData, Examples


def digits(test_share: TestShare = 0.2, seed: Seed = 0) -> CentralData:
    """x (N, 64) float32 from 0 to 1, y (N,) int64 from 0 to 9, column `label`; the seed decides which rows are the test half."""
    table = np.loadtxt(_file(), delimiter=",")
    x, y = table[:, :-1], table[:, -1].astype(np.int64)
    return split_test(Examples((x / 16).astype(np.float32), y), {"label": y}, test_share, seed)


def _file() -> Path:
    """Where scikit-learn keeps its digits; to import it costs more than a second, and every training process would."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise InputError("The digits come with scikit-learn, which is not installed; `make setup` installs it.")
    return Path(package.origin).with_name("datasets") / "data/digits.csv.gz"
