"""Quantised updates: each number of a move becomes one of a few levels between the weight's smallest and largest, by chance and without bias.

Konečný, McMahan, Yu, Richtárik, Suresh, Bacon: Federated Learning: Strategies for Improving Communication Efficiency, 2016, https://arxiv.org/abs/1610.05492
This is the paper's probabilistic quantisation, without its random rotations.
"""

import numpy as np

from fl_core.strategies._compressed import Coding, compressed
from fl_core.strategy import Strategy
from fl_core.types import Weights


def quantised(bits: int = 8, around: Strategy | None = None) -> Strategy:
    """The strategy `around` (default fed_avg) whose clients send `bits` (1 to 8) a number, and 8 bytes of range a weight. A number between two levels
    becomes the upper one with the probability that keeps its expected value."""
    if not 1 <= bits <= 8:
        raise ValueError(f"bits is {bits}; a number takes 1 to 8")
    top = 2**bits - 1

    def encode(move: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
        low, high = (np.float64(move.min()), np.float64(move.max())) if move.size else (np.float64(0), np.float64(0))
        scaled = (move - low) * (top / (high - low)) if high > low else np.zeros(move.size)
        levels = np.minimum(np.floor(scaled + random.random(move.size)), top).astype(np.uint8)
        return {"levels": _pack(levels, bits), "range": np.array([low, high], np.float32)}

    def decode(code: Weights, size: int, random: np.random.Generator) -> np.ndarray:
        low, high = code["range"].astype(np.float64)
        return np.asarray(low + _unpack(code["levels"], bits, size) * ((high - low) / top), np.float32)

    def like(size: int) -> dict[str, np.ndarray]:
        return {"levels": np.empty(-(-size * bits // 8), np.uint8), "range": np.empty(2, np.float32)}

    return compressed(around, Coding(encode, decode, like))


def _pack(levels: np.ndarray, bits: int) -> np.ndarray:
    """The lowest `bits` of each level, one after the other, eight to a byte."""
    return np.packbits(np.unpackbits(levels[:, None], axis=1)[:, 8 - bits :].reshape(-1))


def _unpack(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    wide = np.zeros((count, 8), np.uint8)
    wide[:, 8 - bits :] = np.unpackbits(packed.astype(np.uint8))[: count * bits].reshape(count, bits)
    return np.packbits(wide, axis=1)[:, 0]
