"""A table in a text file, plain or gzip by its name: one example a line, and the columns' names in the first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import scale, split_test
from fl_core.datasets._table import Table, numbers, read_table, values
from fl_core.errors import InputError
from fl_core.types import CentralData, Examples


def csv(
    path: Path,
    label: str,
    features: Sequence[str] | None = None,
    columns: Sequence[str] = (),
    drop: Sequence[str] = (),
    regression: bool = False,
    standardise: bool = False,
    test_path: Path | None = None,
    test_share: TestShare = 0.0,
    seed: Seed = 0,
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
) -> CentralData:
    """x (N, features) float32, y (N,), and the columns `label` and those kept aside to partition by.

    Features are all columns but the label, `columns` and `drop`, or those of `features` in that order. Whole numbers and words in the label are
    classes, int64 from 0 in sorted order; other numbers, and all where `regression` is true, are float32.
    """
    if test_path and test_share:
        raise InputError(f"data.test_share is {test_share}, but data.test_path names a test set already; leave one of them out.")
    table = read_table(path, delimiter)
    chosen = list(features) if features is not None else _features(table, label, columns, drop)
    if not chosen:
        raise InputError(f"'{path}' has no column left to learn from beside the label, data.columns and data.drop; leave one feature.")
    y, classes = _labels(table, label, regression)
    kept = {"label": y} | {name: values(table.column(name, "columns")) for name in columns}
    data = split_test(Examples(_x(table, chosen), y), kept, test_share, seed)
    if test_path:
        data = CentralData(data.train, _test(read_table(test_path, delimiter), chosen, label, classes), kept)
    return scale(data) if standardise else data


def _features(table: Table, label: str, columns: Sequence[str], drop: Sequence[str]) -> list[str]:
    for name in drop:
        table.column(name, "drop")
    return [name for name in table.cells if name not in {label, *columns, *drop}]


def _x(table: Table, features: Sequence[str]) -> np.ndarray:
    return np.stack([numbers(table, name, "features").astype(np.float32) for name in features], axis=1)


def _labels(table: Table, label: str, regression: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """The labels and, where they are classes, what each number from 0 on stands for."""
    cells = table.column(label, "label")
    if "" in cells:
        raise InputError(f"'{table.path}' has no label at line {table.lines[cells.index('')]}; fill the cell or leave the line out.")
    found = values(cells)
    if regression or found.dtype.kind == "f":
        return numbers(table, label, "label").astype(np.float32), None
    classes, y = np.unique(found, return_inverse=True)
    return y.astype(np.int64), classes


def _test(table: Table, features: Sequence[str], label: str, classes: np.ndarray | None) -> Examples:
    if classes is None:
        return Examples(_x(table, features), numbers(table, label, "label").astype(np.float32))
    numbered = {known: number for number, known in enumerate(classes.tolist())}
    found = values(table.column(label, "label")).tolist()
    if strange := [word for word in found if word not in numbered]:
        raise InputError(f"'{table.path}' holds the label '{strange[0]}', which the training set does not; known are {', '.join(map(str, numbered))}.")
    return Examples(_x(table, features), np.array([numbered[word] for word in found], np.int64))
