"""How items are numbered: by a list that organisations share, or by how common they are in one's own sessions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fl_core.codec import sha256
from fl_core.datasets._bytes import read_bytes
from fl_core.errors import InputError


def read_items(path: Path) -> dict[str, int]:
    """Each item's number, which is that of its line, from 1; empty lines only count. InputError where an item is there twice or there is none."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    numbers: dict[str, int] = {}
    for number, item in enumerate(map(str.strip, lines), 1):
        if item in numbers:
            raise InputError(f"'{path}' has the item '{item}' at line {numbers[item]} and again at line {number}; keep one of them.")
        if item:
            numbers[item] = number
    if not numbers:
        raise InputError(f"'{path}' names no item; it holds one a line.")
    return numbers


def count_items(names: Sequence[str], counts: np.ndarray) -> dict[str, int]:
    """Each item's number, from 1, the most common first and equals by name; items that are never there have none."""
    by_name = np.array(names).argsort(kind="stable")
    order = by_name[np.argsort(-counts[by_name], kind="stable")]
    return {names[code]: number for number, code in enumerate(order[: np.count_nonzero(counts)].tolist(), 1)}


def digest_items(numbers: Mapping[str, int]) -> str:
    """sha256 over the items and their numbers."""
    return sha256("".join(f"{number} {item}\n" for item, number in numbers.items()).encode())
