"""Random mask: a client sends a random part of its move, scaled up so that the mean over many clients is right.

Konečný, McMahan, Yu, Richtárik, Suresh, Bacon: Federated Learning: Strategies for Improving Communication Efficiency, 2016, https://arxiv.org/abs/1610.05492
This is the paper's subsampling (a sketched update); its random mask proper also trains under the mask, which this does not.
"""

import numpy as np

from fl_core.strategies._checks import share
from fl_core.strategies._compressed import Coding, compressed
from fl_core.strategies.top_k import count_of
from fl_core.strategy import Strategy
from fl_core.types import Weights


def random_mask(keep: float = 0.1, around: Strategy | None = None) -> Strategy:
    """The strategy `around` (default fed_avg) whose clients send of each weight a random share `keep` (above 0, at most 1), 4 bytes a number. The places
    follow from one seed of 8 bytes, another for each client and round."""
    share(keep=keep)

    def encode(move: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
        places = _places(move.size, random)
        return {"values": move[places] * np.float32(move.size / len(places))}

    def decode(code: Weights, size: int, random: np.random.Generator) -> np.ndarray:
        move = np.zeros(size, np.float32)
        move[_places(size, random)] = code["values"]
        return move

    def _places(size: int, random: np.random.Generator) -> np.ndarray:
        return random.choice(size, count_of(keep, size), replace=False)

    return compressed(around, Coding(encode, decode, lambda size: {"values": np.empty(count_of(keep, size), np.float32)}))
