"""Advertisements that were shown, as numbers: 13 counts and 26 categories each, as in Criteo's sets."""

import zlib

import numpy as np

COUNTS, CATEGORIES = 13, 26
# The most hashes whose numbers float32 holds exactly.
HASHES = 1 << 24
MISSING_COUNT = -1.0


def scale_counts(counts: np.ndarray) -> np.ndarray:
    """log(1 + count) as float32, a count below 0 as 0, and MISSING_COUNT where it is NaN.

    >>> scale_counts(np.array([0.0, -2.0, np.nan])).tolist()
    [0.0, 0.0, -1.0]
    """
    with np.errstate(invalid="ignore"):
        return np.where(np.isnan(counts), MISSING_COUNT, np.log1p(np.maximum(counts, 0))).astype(np.float32)


def hash_word(field: int, word: str) -> int:
    """The number, below HASHES, of a category's word in a field; a missing one is the empty word. The same in every process and release."""
    return zlib.crc32(f"{field}:{word}".encode()) % HASHES
