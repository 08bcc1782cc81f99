"""What data must be to be trained on, said once, where they are opened."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from fl_core.errors import InputError
from fl_core.types import CentralData, Examples, FederatedData

CHECKED_CLIENTS_MAX = 100_000


def check_rows(rows: object, partition: str, count: int) -> None:
    """A partition gives at least one client, and each client at least one row that is there."""
    if not isinstance(rows, Mapping) or not rows:
        raise InputError(f"The partition '{partition}' gives {type(rows).__name__}; it gives arrays of training rows by client name, at least one.")
    _check_words(rows)
    for client, hand in rows.items():
        if not isinstance(hand, np.ndarray) or hand.ndim != 1 or hand.dtype.kind not in "iu":
            raise InputError(f"The partition '{partition}' gives client '{client}' no array of whole numbers; each client gets a 1-d array of training rows.")
        if not len(hand):
            raise InputError(
                f"The partition '{partition}' leaves client '{client}' without examples; ask for fewer clients or a more even deal (a larger alpha)."
            )
        if hand.min() < 0 or hand.max() >= count:
            raise InputError(
                f"The partition '{partition}' deals row {hand.max() if hand.min() >= 0 else hand.min()} to client '{client}'; rows go from 0 to {count - 1}."
            )


def check_view(seen: Examples, partition: str, client: str, count: int) -> None:
    """A client sees as many examples as it was dealt."""
    if len(seen.x) != count or len(seen.y) != count:
        raise InputError(f"The partition '{partition}' shows client '{client}' {len(seen.y)} of its {count} examples; a view keeps every row.")


def check_federated(data: FederatedData) -> None:
    """Names are sorted and distinct, and nobody is empty; above CHECKED_CLIENTS_MAX clients only their number is looked at."""
    count = len(data.clients)
    if len(data.sizes) != count or not count:
        raise InputError(f"The data have {count} clients and {len(data.sizes)} sizes; there is at least one client, and each has a size.")
    if count > CHECKED_CLIENTS_MAX:
        return
    names = list(data.clients)
    _check_words(names)
    for before, after in pairwise(names):
        if before == after:
            raise InputError(f"The client '{after}' is there twice; each client has a name of its own.")
        if before > after:
            raise InputError(f"The client '{after}' comes after '{before}'; give the names in sorted order.")
    if empty := [name for name, size in zip(names, data.sizes, strict=True) if size < 1]:
        raise InputError(f"The client '{empty[0]}' has no examples; leave it out.")


def check_set(data: CentralData) -> None:
    """Rows, labels and columns belong together and are finite."""
    _check_examples(data.train, "training")
    if data.test is not None:
        _check_examples(data.test, "test")
    for name, column in data.columns.items():
        if len(column) != len(data.train):
            raise InputError(f"The column '{name}' has {len(column)} values for {len(data.train)} training examples; give one value a row.")


def check_classes(train: Examples) -> None:
    """Whole numbers as labels show at least two classes."""
    y = train.y
    if y.dtype.kind in "iu" and y.ndim == 1 and (y == y[0]).all():
        raise InputError(f"The training set has one class: all {len(y)} labels are {y[0]}; a model needs at least two classes.")


def _check_words(names: Iterable[object]) -> None:
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"A client is called {name!r}; a client's name is a word, such as 'client-0'.")


def _check_examples(examples: Examples, half: str) -> None:
    if len(examples.x) != len(examples.y):
        raise InputError(f"The {half} set has {len(examples.x)} rows of x and {len(examples.y)} of y; row i of y is the label of row i of x.")
    if not len(examples):
        raise InputError(f"The {half} set is empty; give at least one example.")
    for name, values in (("x", examples.x), ("y", examples.y)):
        if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
            row = int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
            bad = values[row][~finite[row]].flat[0] if values.ndim > 1 else values[row]
            raise InputError(f"The {half} set holds {bad} in row {row} of {name}; fill such values or leave their rows out.")
