"""Criteo's advertisements: was it clicked (1 or 0), 13 whole numbers, 26 categories in hexadecimal digits, with tabs between them, any of them missing."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.datasets._clicks import CATEGORIES, COUNTS, hash_word, scale_counts
from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import split_test
from fl_core.errors import InputError, did_you_mean
from fl_core.types import CentralData, Examples

LINES_AT_ONCE = 50_000
CELLS = 1 + COUNTS + CATEGORIES
NAMES = {f"C{number}": COUNTS + number for number in range(1, CATEGORIES + 1)}
Rows = Sequence[list[str]]


def criteo(
    path: Path,
    test_path: Path | None = None,
    test_share: TestShare = 0.1,
    seed: Seed = 0,
    max_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000,
    columns: Sequence[str] = (),
) -> CentralData:
    """x (N, 39) float32, y (N,) int64, of the first `max_rows` lines of a file, plain or gzip; the columns `label` and those kept to partition by.

    The first 13 of x are log(1 + number), -1 where it is missing; the other 26 are hashes of the categories, whole numbers below 2**24. The test half
    is a second file, or a random share. `columns` are categories, C1 to C26.
    """
    for name in columns:
        if name not in NAMES:
            raise InputError(f"data.columns holds '{name}'; {did_you_mean(name, NAMES)}")
    train, kept = _read(path, max_rows, columns)
    if test_path is None:
        return split_test(train, {"label": train.y} | kept, test_share, seed)
    return CentralData(train, _read(test_path, max_rows, ())[0], {"label": train.y} | kept)


def _read(path: Path, max_rows: int, columns: Sequence[str]) -> tuple[Examples, dict[str, np.ndarray]]:
    """The examples of a file, and the words of the columns."""
    parts: list[Examples] = []
    words: dict[str, list[str]] = {name: [] for name in columns}
    lines = islice(_lines(path), max_rows)
    while chunk := list(islice(lines, LINES_AT_ONCE)):
        rows = [line.rstrip("\r\n").split("\t") for line in chunk]
        parts.append(_encode(rows, path, first=1 + sum(map(len, parts))))
        for name, column in words.items():
            column += [row[NAMES[name]] or "missing" for row in rows]
    if not parts:
        raise InputError(f"'{path}' is empty; it has an advertisement a line.")
    whole = Examples(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))
    return whole, {name: np.array(column) for name, column in words.items()}


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="latin-1") if path.suffix == ".gz" else path.open(encoding="latin-1") as file:
            yield from file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"The data file '{path}' is not a whole gzip file ({error}); copy it again.") from error
    except OSError as error:
        raise InputError(f"The data file '{path}' cannot be read: {error.strerror}.") from error


def _encode(rows: Rows, path: Path, first: int) -> Examples:
    """The rows as examples; InputError with the line, counted from `first`, where one is none of Criteo's."""
    for line, row in enumerate(rows, first):
        if len(row) != CELLS or row[0] not in ("0", "1"):
            raise InputError(
                f"'{path}' has {len(row)} cells at line {line}, beginning with '{row[0]}'; a line of Criteo's has a label, 0 or 1, then 13 whole numbers and "
                "26 categories, with tabs between them."
            )
    x = np.empty((len(rows), COUNTS + CATEGORIES), np.float32)
    for place in range(COUNTS):
        x[:, place] = scale_counts(_counts([row[1 + place] for row in rows], path, first))
    for place in range(COUNTS, COUNTS + CATEGORIES):
        words = [row[1 + place] for row in rows]
        hashes = {word: hash_word(place - COUNTS, word) for word in set(words)}
        x[:, place] = [hashes[word] for word in words]
    return Examples(x, np.array([row[0] == "1" for row in rows], np.int64))


def _counts(cells: Sequence[str], path: Path, first: int) -> np.ndarray:
    counts = np.empty(len(cells))
    for i, cell in enumerate(cells):
        try:
            counts[i] = int(cell) if cell else np.nan
        except ValueError as error:
            raise InputError(f"'{path}' holds '{cell}' at line {first + i}, where a whole number belongs; leave the cell empty where it is missing.") from error
    return counts
