"""Sums that are exact: any order, any grouping and any number of processes end in the same bits.

Each move is scaled by its client's weight in float64 and rounded once to a whole number of units of 2**-30; whole numbers add exactly. The rounding
is a single addition: 1.5 * 2**22 pushes every |value| < 2**21 to the binade whose last mantissa bit is 2**-30, and its bits minus the constant's
bits are the whole number. The error of a mean of K clients of equal weight is at most 2**-31, below float32's own for weights near 1.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from fl_core.types import Weights

UNIT = 2.0**-30
LIMIT = 2.0**21
CLIENTS_AT_LIMIT = 4096
BLOCK = 32768
_MAGIC = 1.5 * 2.0**22
_MAGIC_BITS = np.float64(_MAGIC).view(np.int64)


def weight_unit(largest_weight: float, clients: int) -> float:
    """A power of two that brings every weight of a round to at most 1 and keeps the sum over all clients inside int64."""
    unit = 2.0 ** -np.ceil(np.log2(max(largest_weight, 1.0)))
    while clients > CLIENTS_AT_LIMIT:
        unit, clients = unit / 2, clients // 2
    return float(unit)


def why_not_summable(move: Weights, weight: float) -> str | None:
    """A reason where the move cannot be summed (NaN, Inf or out of range), None where it can. `weight` is already in weight units."""
    if not 0 <= weight < np.inf:
        return f"its weight is {weight}"
    for name, value in move.items():
        if _is_surely_below(value, LIMIT / max(weight, 1.0)):
            continue
        largest = max(float(np.max(value, initial=0)), -float(np.min(value, initial=0)))
        if not np.isfinite(largest):
            return f"'{name}' holds NaN or Inf"
        if not largest * max(weight, 1.0) < LIMIT:
            return f"'{name}' moved by {largest:.3g}, more than the sums hold"
    return None


def _is_surely_below(value: np.ndarray, bound: float) -> bool:
    """Whether the length of the whole vector is below half the bound, and so each element; one pass without a copy. False for NaN and Inf."""
    if np.asarray(value).dtype.kind != "f":
        return False
    flat = np.ravel(value)
    return bool(np.dot(flat, flat) < (bound / 2) ** 2)


def why_too_large(totals: Weights, weights: Iterable[float]) -> str | None:
    """A reason where sums are larger than clients of these weights, in whole units, can have made them; None where they are not, and do not wrap when they
    are added. One look at each sum of 8 bytes a number; sums of 4 bytes are seldom as large."""
    most = LIMIT * sum(min(weight, 1 / UNIT) + 1 for weight in weights)
    for name, total in totals.items():
        if total.size and most < np.iinfo(total.dtype).max and max(int(np.max(total)), -int(np.min(total))) > most:
            return f"its sum of '{name}' is larger than its clients can have made it"
    return None


def empty_totals(like: Weights) -> dict[str, np.ndarray]:
    """Zero sums in the shapes of `like`, int64."""
    return {name: np.zeros(np.shape(value), np.int64) for name, value in like.items()}


def whole(weight: float) -> int:
    """A weight as a whole number of units."""
    return round(weight / UNIT)


def add_move(totals: Mapping[str, np.ndarray], move: Weights, weight: float) -> None:
    """Adds move * weight to the totals, in place; `why_not_summable` has been asked before."""
    scratch = np.empty(BLOCK, np.float64)
    for name, value in move.items():
        flat, total = np.ascontiguousarray(value).reshape(-1), totals[name].reshape(-1)
        for start in range(0, flat.size, BLOCK):
            stop = min(start + BLOCK, flat.size)
            scaled = scratch[: stop - start]
            np.multiply(flat[start:stop], weight, out=scaled, dtype=np.float64)
            scaled += _MAGIC
            bits = scaled.view(np.int64)
            bits -= _MAGIC_BITS
            total[start:stop] += bits


def narrow(totals: Weights) -> dict[str, np.ndarray]:
    """The sums as int32 where all of a tensor's fit, which halves what is sent, hashed and stored; they add to wider totals as they are."""
    return {name: _narrowed(total) for name, total in totals.items()}


def _narrowed(total: np.ndarray) -> np.ndarray:
    small = total.astype(np.int32)
    return small if np.array_equal(small, total) else total


def add_totals(totals: Mapping[str, np.ndarray], more: Weights) -> None:
    """Adds the sums of another part to the totals, in place."""
    for name, value in more.items():
        np.add(totals[name], value, out=totals[name])
