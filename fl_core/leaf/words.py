"""Words as numbers: how LEAF cuts tweets, vocabularies from a file or from the training half, and their vectors."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fl_core.datasets._bytes import read_bytes
from fl_core.errors import InputError

TWEET_WORDS = 25
PAD, UNKNOWN = "<PAD>", "<UNK>"
_WORD = re.compile(r"[\w']+|[.,!?;]")


def cut_words(text: str) -> list[str]:
    """Words and the marks . , ! ? ; in their order.

    >>> cut_words("Don't stop!")
    ["Don't", 'stop', '!']
    """
    return _WORD.findall(text)


def number_tweet(text: str, numbers: Mapping[str, int], unknown: int) -> list[int]:
    """The numbers of the first TWEET_WORDS words; `unknown` stands for an unknown word, and for what is missing at the end."""
    found = [numbers.get(word, unknown) for word in cut_words(text)[:TWEET_WORDS]]
    return found + [unknown] * (TWEET_WORDS - len(found))


def most_common(words: Iterable[str], count: int) -> list[str]:
    """At most `count` words, the most frequent first and equals by name."""
    counts = Counter(words)
    return sorted(counts, key=lambda word: (-counts[word], word))[:count]


def read_vocabulary(path: Path) -> list[str]:
    """The words of a JSON list, or of LEAF's embs.json, which holds them under "vocab"."""
    content = _read(path)
    words = content.get("vocab") if isinstance(content, dict) else content
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise InputError(f"The vocabulary '{path}' holds no list of words; write one as JSON, or as LEAF's embs.json with 'vocab'.")
    return words


def read_vectors(path: Path) -> np.ndarray:
    """The vectors (words, size) float32 of LEAF's embs.json, which holds them under "emba", one for each word of "vocab"."""
    words, content = read_vocabulary(path), _read(path)
    try:
        vectors = np.array(content["emba"], np.float32)
    except (TypeError, KeyError, ValueError):
        vectors = np.empty(0, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(words) or not vectors.size or not np.isfinite(vectors).all():
        raise InputError(f"'{path}' holds no vectors for its {len(words)} words; under 'emba' lies one list of numbers a word, all of one length.")
    return vectors


def _read(path: Path) -> Any:
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(f"The vocabulary '{path}' is not JSON ({error}); it is a list of words.") from error


def number_words(words: Sequence[str]) -> dict[str, int]:
    """Each word's number from 0 on."""
    return {word: number for number, word in enumerate(words)}
