"""A table in a text file, plain or gzip by its name: one example a line, and the columns' names in the first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, StrictInt, StrictStr

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import scale, split_test
from fl_core.datasets._table import Table, numbers, read_table, values
from fl_core.errors import InputError
from fl_core.types import CentralData, Examples, Meaning


def csv(
    path: Path,
    label: str,
    features: Sequence[str] | None = None,
    columns: Sequence[str] = (),
    drop: Sequence[str] = (),
    regression: bool = False,
    classes: Sequence[StrictStr | StrictInt] | None = None,
    standardise: bool = False,
    test_path: Path | None = None,
    test_share: TestShare = 0.0,
    seed: Seed = 0,
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
) -> CentralData:
    """x (N, features) float32, y (N,), and the columns `label` and those kept aside to partition by.

    Features are all columns but the label, `columns` and `drop`, or those of `features` in that order. Whole numbers and words in the label are
    classes, int64 from 0 in sorted order, or in that of `classes`; other numbers, and all where `regression` is true, are float32.
    """
    if regression and classes is not None:
        raise InputError("data.regression is true, and measured labels have no data.classes; leave one of them out.")
    if test_path and test_share:
        raise InputError(f"data.test_share is {test_share}, but data.test_path names a test set already; leave one of them out.")
    table = read_table(path, delimiter)
    chosen = list(features) if features is not None else _features(table, label, columns, drop)
    if not chosen:
        raise InputError(f"'{path}' has no column left to learn from beside the label, data.columns and data.drop; leave one feature.")
    y, known = _labels(table, label, regression, None if classes is None else _distinct(classes))
    kept = {"label": y} | {name: values(table.column(name, "columns")) for name in columns}
    data = split_test(Examples(_x(table, chosen), y), kept, test_share, seed)
    if test_path:
        data = CentralData(data.train, _test(read_table(test_path, delimiter), chosen, label, known, "data.classes" if classes else "the training set"), kept)
    data = replace(data, meaning=Meaning(chosen, known or ()))
    return scale(data) if standardise else data


def _features(table: Table, label: str, columns: Sequence[str], drop: Sequence[str]) -> list[str]:
    for name in drop:
        table.column(name, "drop")
    return [name for name in table.cells if name not in {label, *columns, *drop}]


def _x(table: Table, features: Sequence[str]) -> np.ndarray:
    return np.stack([numbers(table, name, "features").astype(np.float32) for name in features], axis=1)


def _distinct(classes: Sequence[str | int]) -> list[str]:
    names = list(map(str, classes))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"data.classes names '{twice[0]}' twice; name each class once.")
    return names


def _labels(table: Table, label: str, regression: bool, classes: Sequence[str] | None) -> tuple[np.ndarray, Sequence[str] | None]:
    """The labels and, where they are classes, what each number from 0 on stands for."""
    cells = table.column(label, "label")
    if "" in cells:
        raise InputError(f"'{table.path}' has no label at line {table.lines[cells.index('')]}; fill the cell or leave the line out.")
    if classes is not None:
        return _numbered(table, label, classes, "data.classes"), classes
    found = values(cells)
    if regression or found.dtype.kind == "f":
        return numbers(table, label, "label").astype(np.float32), None
    sorted_values, y = np.unique(found, return_inverse=True)
    return y.astype(np.int64), list(map(str, sorted_values.tolist()))


def _test(table: Table, features: Sequence[str], label: str, classes: Sequence[str] | None, known_by: str) -> Examples:
    if classes is None:
        return Examples(_x(table, features), numbers(table, label, "label").astype(np.float32))
    return Examples(_x(table, features), _numbered(table, label, classes, known_by))


def _numbered(table: Table, label: str, classes: Sequence[str], known_by: str) -> np.ndarray:
    """Each label's place among the classes; `known_by` is what holds those."""
    numbers = {known: number for number, known in enumerate(classes)}
    found = list(map(str, values(table.column(label, "label")).tolist()))
    if strange := [word for word in found if word not in numbers]:
        raise InputError(f"'{table.path}' holds the label '{strange[0]}', which {known_by} does not; known are {', '.join(numbers)}.")
    return np.array([numbers[word] for word in found], np.int64)
