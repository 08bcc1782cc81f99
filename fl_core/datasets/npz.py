"""Arrays in one numpy file: `x` and `y`, and `x_test` and `y_test` where there is a test set."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import split_test
from fl_core.errors import InputError, did_you_mean
from fl_core.types import CentralData, Examples

_OWN = ("x", "y", "x_test", "y_test")


def npz(path: Path, test_share: TestShare = 0.0, seed: Seed = 0) -> CentralData:
    """x and y in the shapes that were saved, floats as float32, whole numbers as int64; other 1-d arrays with a value a row become columns."""
    arrays = _read(path)
    train = _examples(arrays, "x", "y", path)
    columns = {name: array for name, array in arrays.items() if name not in _OWN and array.shape == (len(train),)}
    if train.y.ndim == 1:
        columns = {"label": train.y} | columns
    if "x_test" not in arrays and "y_test" not in arrays:
        return split_test(train, columns, test_share, seed)
    if test_share:
        raise InputError(f"data.test_share is {test_share}, but '{path}' holds a test set already; leave the share out.")
    return CentralData(train, _examples(arrays, "x_test", "y_test", path), columns)


def _read(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except OSError as error:
        raise InputError(f"The data file '{path}' cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"'{path}' is not an .npz file of plain arrays ({error}); write it with np.savez and no Python objects in it.") from error


def _examples(arrays: Mapping[str, np.ndarray], x: str, y: str, path: Path) -> Examples:
    for name in (x, y):
        if name not in arrays:
            raise InputError(f"'{path}' has no array '{name}'; {did_you_mean(name, arrays)}")
        if arrays[name].dtype.kind not in "biuf" or not arrays[name].ndim:
            raise InputError(
                f"'{path}' holds {arrays[name].dtype} of shape {arrays[name].shape} under '{name}'; it is an array of numbers, one row an example."
            )
    return Examples(_plain(arrays[x]), _plain(arrays[y]))


def _plain(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64, copy=False)
