"""What loaders do to a whole set: set a test half aside, bring features to one scale."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fl_core.errors import InputError
from fl_core.types import CentralData, Examples


def split_test(examples: Examples, columns: Mapping[str, np.ndarray], test_share: float, seed: int) -> CentralData:
    """The set with a random share of its rows, the same for the same seed, as test half; a share of 0 gives none. Rows keep their order."""
    if not test_share:
        return CentralData(examples, None, columns)
    test_count = round(len(examples) * test_share)
    if not 0 < test_count < len(examples):
        raise InputError(
            f"data.test_share is {test_share}, which leaves {len(examples) - test_count} of {len(examples)} examples to train on; give both halves some."
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(examples))
    test, train = np.sort(order[:test_count]), np.sort(order[test_count:])
    return CentralData(examples.take(train), examples.take(test), {name: column[train] for name, column in columns.items()})


def scale(data: CentralData) -> CentralData:
    """The same data with each feature's mean 0 and deviation 1 over the training half; a constant feature becomes 0."""
    mean, deviation = data.train.x.mean(axis=0, dtype=np.float64), data.train.x.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1

    def scaled(examples: Examples) -> Examples:
        return Examples(((examples.x - mean) / deviation).astype(np.float32), examples.y)

    return replace(data, train=scaled(data.train), test=None if data.test is None else scaled(data.test))
