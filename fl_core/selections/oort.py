"""Oort: clients whose examples still have much to teach and whose devices are fast, and always some who have not been tried.

Lai, Zhu, Madhyastha, Chowdhury: Oort: Efficient Federated Learning via Guided Participant Selection, 2021, https://arxiv.org/abs/2010.06081
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.selections._checks import check_count, check_enough
from fl_core.selections._devices import Devices
from fl_core.strategy import Draw, Seen, Select

CLIPPED_PERCENTILE = 95
CUTOFF = 0.95

Share = Annotated[float, Field(ge=0, le=1)]


def oort(
    clients_per_round: int,
    preferred_seconds: Annotated[float, Field(gt=0)] | None = None,
    penalty: Annotated[float, Field(ge=0)] = 2.0,
    exploration: Share = 0.9,
    exploration_decay: Share = 0.98,
    exploration_min: Share = 0.2,
    devices: Devices = Devices(),  # noqa: B008 (frozen)
) -> Select:
    """Draws a share of the clients among those not seen yet (`exploration`, times `exploration_decay` a round, at least `exploration_min`), the others in
    proportion to their utility among the best.

    Utility: examples * mean loss when last seen (the paper takes the root of the mean squared loss of single examples), clipped at the 95th percentile and
    scaled to 1, plus sqrt(0.1 * log(round) / round last seen), times (preferred / expected seconds) ** `penalty` for a client whose simulated device takes
    longer than `preferred_seconds` (null: speed does not matter). The paper's pacer, which moves the preferred time, is left out; new clients are drawn
    uniformly.
    """
    check_count(clients_per_round)

    def select(draw: Draw) -> Sequence[str]:
        check_enough(draw, clients_per_round)
        history = draw.history()
        new = len(draw.clients) - len(history)
        share = max(exploration_min, exploration * exploration_decay ** (draw.round - 1))
        tried = min(len(history), clients_per_round - min(new, round(share * clients_per_round)))
        worth = utilities(draw, history, devices, preferred_seconds, penalty)
        return [*_best(draw, worth, tried), *_new(draw, history, clients_per_round - tried)]

    return select


def utilities(draw: Draw, history: Mapping[str, Seen], devices: Devices, preferred_seconds: float | None, penalty: float) -> dict[str, float]:
    """What each client who was seen is worth, above 0."""
    if not history:
        return {}
    names = sorted(history)
    sizes = [draw.sizes[draw.clients.index(name)] for name in names]
    learnt = np.array([size * max(history[name].metrics.get("loss", 0.0), 0.0) for name, size in zip(names, sizes, strict=True)])
    learnt = np.minimum(learnt, np.percentile(learnt, CLIPPED_PERCENTILE))
    learnt = learnt / max(float(learnt.max()), np.finfo(float).tiny)
    worth = {}
    for name, size, value in zip(names, sizes, learnt.tolist(), strict=True):
        worth[name] = value + math.sqrt(0.1 * math.log(draw.round) / history[name].round) + np.finfo(float).tiny
        if preferred_seconds is not None and (seconds := sum(devices.seconds(name, size, draw.work))) > preferred_seconds:
            worth[name] *= (preferred_seconds / seconds) ** penalty
    return worth


def _best(draw: Draw, worth: Mapping[str, float], count: int) -> list[str]:
    """`count` clients by chance in proportion to what they are worth, of those who come near the count-th best."""
    if not count:
        return []
    bar = CUTOFF * sorted(worth.values(), reverse=True)[count - 1]
    near = [name for name in sorted(worth) if worth[name] >= bar]
    weights = np.array([worth[name] for name in near])
    return [near[place] for place in draw.random.choice(len(near), size=count, replace=False, p=weights / weights.sum())]


def _new(draw: Draw, history: Mapping[str, Seen], count: int) -> list[str]:
    """`count` clients who were not seen, uniformly."""
    found: list[str] = []
    if count:
        for place in draw.random.permutation(len(draw.clients)).tolist():
            if draw.clients[place] not in history:
                found.append(draw.clients[place])
            if len(found) == count:
                break
    return found
