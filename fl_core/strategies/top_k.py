"""Top-k: a client sends only the largest of its moves, and remembers the others for the next time.

Stich, Cordonnier, Jaggi: Sparsified SGD with Memory, 2018, https://arxiv.org/abs/1809.07599
"""

import numpy as np

from fl_core.strategies._checks import share
from fl_core.strategies._compressed import Coding, compressed
from fl_core.strategy import Strategy
from fl_core.types import Weights


def top_k(keep: float = 0.1, feedback: bool = True, around: Strategy | None = None) -> Strategy:
    """The strategy `around` (default fed_avg) whose clients send of each weight the share `keep` that moved most (above 0, at most 1), as 4 bytes of
    place and 4 of value each. With `feedback` what is left unsent is added to the client's next move; without, it is lost."""
    share(keep=keep)

    def encode(move: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
        places = np.sort(np.argsort(-np.abs(move), kind="stable")[: count_of(keep, move.size)])
        return {"places": places.astype(np.uint32), "values": move[places]}

    def decode(code: Weights, size: int, random: np.random.Generator) -> np.ndarray:
        move = np.zeros(size, np.float32)
        np.put(move, code["places"].astype(np.int64), code["values"], mode="clip")  # a place beyond the end must not stop the server
        return move

    def like(size: int) -> dict[str, np.ndarray]:
        count = count_of(keep, size)
        return {"places": np.empty(count, np.uint32), "values": np.empty(count, np.float32)}

    return compressed(around, Coding(encode, decode, like), feedback)


def count_of(keep: float, size: int) -> int:
    """How many of `size` numbers are the share `keep`: at least one."""
    return min(size, max(1, round(keep * size)))
