"""LEAF's letters: the 80 that its Shakespeare model knows."""

from collections.abc import Sequence

import numpy as np

LETTERS = "\n !\"&'(),-.0123456789:;>?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz}"
_NUMBERS = {letter: number for number, letter in enumerate(LETTERS)}
# LEAF's preprocessing stands a space for what it does not know.
_UNKNOWN = _NUMBERS[" "]


def number_letters(texts: Sequence[str]) -> np.ndarray:
    """(N, letters) int64: each letter's place in LETTERS, a letter that is none of them as a space; the texts are of one length.

    >>> number_letters(["a", "A", "é"]).tolist()
    [[53], [25], [2]]
    """
    return np.array([[_NUMBERS.get(letter, _UNKNOWN) for letter in text] for text in texts], np.int64)
