"""Arrays in one numpy file: `x` and `y`, `x_test` and `y_test` where there is a test set, and what they mean: `feature_names` and `class_names`."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import split_test
from fl_core.errors import InputError, did_you_mean
from fl_core.types import CentralData, Examples, Meaning

_OWN = ("x", "y", "x_test", "y_test", "feature_names", "class_names")


def npz(path: Path, test_share: TestShare = 0.0, seed: Seed = 0) -> CentralData:
    """x and y in the shapes that were saved, floats as float32, whole numbers as int64; other 1-d arrays with a value a row become columns."""
    arrays = _read(path)
    train = _examples(arrays, "x", "y", path)
    columns = {name: array for name, array in arrays.items() if name not in _OWN and array.shape == (len(train),)}
    if train.y.ndim == 1:
        columns = {"label": train.y} | columns
    meaning = _meaning(arrays, train, path)
    if "x_test" not in arrays and "y_test" not in arrays:
        return replace(split_test(train, columns, test_share, seed), meaning=meaning)
    if test_share:
        raise InputError(f"data.test_share is {test_share}, but '{path}' holds a test set already; leave the share out.")
    return CentralData(train, _examples(arrays, "x_test", "y_test", path), columns, meaning)


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


def _meaning(arrays: Mapping[str, np.ndarray], train: Examples, path: Path) -> Meaning:
    """What the file says of it, checked: a name for each feature, and one for each label."""
    features, classes = (_words(arrays, name, path) for name in ("feature_names", "class_names"))
    if features and train.x.shape[1:] != (len(features),):
        raise InputError(f"'{path}' holds {len(features)} feature_names, but an example of x has the shape {train.x.shape[1:]}; give a name for each feature.")
    if classes and (train.y.dtype.kind != "i" or train.y.min(initial=0) < 0 or train.y.max(initial=0) >= len(classes)):
        raise InputError(f"'{path}' holds {len(classes)} class_names, but y is not all whole numbers from 0 to {len(classes) - 1}; give a name for each class.")
    return Meaning(features, classes)


def _words(arrays: Mapping[str, np.ndarray], name: str, path: Path) -> list[str]:
    found = arrays.get(name, np.array([], str))
    if found.dtype.kind != "U" or found.ndim != 1:
        raise InputError(f"'{path}' holds {found.dtype} of shape {found.shape} under '{name}'; it is a list of words.")
    return [str(word) for word in found.tolist()]


def _plain(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64, copy=False)
