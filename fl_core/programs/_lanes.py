"""Session-parallel batches: sessions run side by side in lanes, and when one ends the next takes its lane, behind a 0 that resets the state.

Whole sessions only, so that a batch needs nothing of the one before; the longest come first and leave the gaps that short ones fill.
"""

from collections.abc import Iterator

import numpy as np
import paddle

from fl_core.program import Batch
from fl_core.types import Examples, LocalWork


def session_batches(examples: Examples, work: LocalWork, random: np.random.Generator, positions_max: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches (x, y) of lanes (lanes, steps) int64 with `work.batch_size` sessions each, fewer where they have more than `positions_max` items to tell."""
    lengths = np.count_nonzero(examples.x, axis=1)
    done = 0
    for _ in range(work.epochs if work.steps is None else work.steps):
        order = random.permutation(len(examples)) if work.shuffle else np.arange(len(examples))
        for rows in _groups(order, lengths, work.batch_size, positions_max):
            if done == work.steps:
                return
            yield pack(examples, rows, lengths[rows])
            done += 1


def draw_with(
    batches: Iterator[tuple[np.ndarray, np.ndarray]], examples: Examples, count: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches, and with each so many items drawn evenly from those that the examples hold, or all of them where they are no more.

    They lie below y in rows of their own, as numbers below 0 so that nobody takes them for items to tell, behind the number of items drawn from.
    """
    known = np.union1d(examples.x, examples.y)
    known = known[known > 0]
    for x, y in batches:
        drawn = known[random.integers(0, len(known), count)] if len(known) > count else known
        rows = np.zeros((-(-(len(drawn) + 1) // y.shape[1]), y.shape[1]), np.int64)
        rows.flat[: len(drawn) + 1] = [-len(known), *-drawn]
        yield x, np.concatenate([y, rows])


def drawn_with(batch: Batch, items: int, count: int) -> tuple[np.ndarray, int]:
    """The items, counted from 0, that were drawn with a batch, and from how many; for a batch without any so many of all `items`."""
    x, y = batch
    if len(y) == len(x):
        return paddle.randint(0, items, [count]).numpy(), items
    known, *drawn = -y[len(x) :].numpy().ravel()
    found = np.array(drawn)
    return found[found > 0] - 1, int(known)


def pack(examples: Examples, rows: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows' sessions in as few lanes as first fit finds, each lane as long as the longest session and the 0 behind it."""
    by_length = np.argsort(-lengths, kind="stable")
    width = int(lengths[by_length[0]]) + 1
    used: list[int] = []
    places: list[tuple[int, int]] = []
    for length in lengths[by_length].tolist():
        lane = next((lane for lane, end in enumerate(used) if end + length < width), len(used))
        if lane == len(used):
            used.append(0)
        places.append((lane, used[lane]))
        used[lane] += length + 1
    x, y = np.zeros((len(used), width), np.int64), np.zeros((len(used), width), np.int64)
    for row, length, (lane, start) in zip(rows[by_length], lengths[by_length], places, strict=True):
        x[lane, start : start + length] = examples.x[row, :length]
        y[lane, start : start + length] = examples.y[row, :length]
    return x, y


def _groups(order: np.ndarray, lengths: np.ndarray, sessions_max: int, positions_max: int) -> Iterator[np.ndarray]:
    """The rows in groups of so many sessions and no more positions; a longer session is a group of its own."""
    start = 0
    while start < len(order):
        group = order[start : start + sessions_max]
        fitting = int(np.searchsorted(np.cumsum(lengths[group]), positions_max, side="right"))
        yield group[: max(1, fitting)]
        start += max(1, fitting)
