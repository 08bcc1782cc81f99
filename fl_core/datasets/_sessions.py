"""Sessions as numbers: items one behind the other, cut into sessions by their lengths; and as examples to learn from."""

from dataclasses import dataclass

import numpy as np

from fl_core.types import Examples

LONGEST = 100


@dataclass(frozen=True)
class Sessions:
    """items (events,) whole numbers from 1 on, of one session after the other; lengths (sessions,), each at least 1."""

    items: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """Where each session's first item lies."""
        return np.asarray(np.cumsum(self.lengths) - self.lengths)

    @property
    def owners(self) -> np.ndarray:
        """Each item's session, counted from 0."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, chosen: np.ndarray) -> "Sessions":
        """The chosen sessions, given as a mask (sessions,), in their order."""
        return Sessions(self.items[chosen[self.owners]], self.lengths[chosen])

    def reorder(self, order: np.ndarray) -> "Sessions":
        """All sessions in another order, given as their numbers."""
        lengths = self.lengths[order]
        places = np.arange(len(self.items)) + np.repeat(self.starts[order] - (np.cumsum(lengths) - lengths), lengths)
        return Sessions(self.items[places], lengths)

    def keep(self, kept: np.ndarray) -> "Sessions":
        """The kept items, given as a mask (events,); sessions that are left with fewer than 2 are dropped."""
        lengths = np.bincount(self.owners[kept], minlength=len(self))
        left = Sessions(self.items[kept], lengths)
        return left.take(lengths >= 2)


def last_share(count: int, share: float) -> np.ndarray:
    """A mask of the last of so many sessions: about a share of them."""
    return np.arange(count) >= count - round(count * share)


def examples_of(sessions: Sessions, longest: int = LONGEST) -> Examples:
    """x (N, steps) int32 of items, 0 behind a session's end, and y (N, steps), the item after each. Longer sessions go on in a further row.

    A row has at most `longest` steps; the item that a row ends with begins the next, so that every step of a session is there once.
    """
    steps = sessions.lengths - 1
    pieces = -(-steps // longest)
    owner = np.repeat(np.arange(len(sessions)), pieces)
    piece = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    lengths = np.minimum(steps[owner] - piece * longest, longest) + 1
    starts = sessions.starts[owner] + piece * longest
    within = np.arange(min(longest, int(steps.max(initial=1))) + 1) < lengths[:, None]
    rows = np.zeros(within.shape, np.int32)
    places = np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    rows[within] = sessions.items[places]
    x = np.where(rows[:, 1:] > 0, rows[:, :-1], 0)
    return Examples(x, rows[:, 1:])
