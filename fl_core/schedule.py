"""How the local learning rate changes over the rounds: a factor that is a pure function of the round, so that any process knows it."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from fl_core.builder import build
from fl_core.errors import InputError, did_you_mean

Schedule = Callable[[int, int], float]
"""(round, rounds of the job) -> what the learning rate is multiplied by."""

Gamma = Annotated[float, Field(gt=0, le=1)]
Rounds = Annotated[int, Field(ge=1, le=1_000_000)]


def step(every_rounds: Rounds, gamma: Gamma = 0.5) -> Schedule:
    """Times `gamma` every so many rounds.

    >>> [step(every_rounds=2, gamma=0.5)(round, 5) for round in (1, 2, 3, 4, 5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return lambda round, rounds: gamma ** ((round - 1) // every_rounds)


def exponential(gamma: Gamma = 0.99) -> Schedule:
    """Times `gamma` every round.

    >>> [exponential(gamma=0.5)(round, 3) for round in (1, 2, 3)]
    [1.0, 0.5, 0.25]
    """
    return lambda round, rounds: gamma ** (round - 1)


def inverse_sqrt() -> Schedule:
    """1 / sqrt(round).

    >>> [inverse_sqrt()(round, 4) for round in (1, 4)]
    [1.0, 0.5]
    """
    return lambda round, rounds: 1 / math.sqrt(round)


def cosine(floor: Annotated[float, Field(ge=0, le=1)] = 0.0) -> Schedule:
    """Half a cosine from 1 towards `floor`, which it would reach in the round after the job's last, so that no round stands still.

    >>> [cosine(floor=0.5)(round, 4) for round in (1, 3)]
    [1.0, 0.75]
    """
    return lambda round, rounds: floor + (1 - floor) * (1 + math.cos(math.pi * (round - 1) / rounds)) / 2


def warmup(over_rounds: Rounds) -> Schedule:
    """Grows evenly over so many rounds, then stays at 1.

    >>> [warmup(over_rounds=4)(round, 9) for round in (1, 2, 4, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return lambda round, rounds: min(1.0, round / over_rounds)


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {made.__name__: made for made in (cosine, exponential, inverse_sqrt, step, warmup)}


def load_schedule(name: str, options: Mapping[str, Any]) -> Schedule:
    """The schedule of that name; InputError where there is none, or it does not take the options."""
    if name not in SCHEDULES:
        raise InputError(f"optimizer.schedule is '{name}', which is not known; {did_you_mean(name, SCHEDULES)}")
    made: Schedule = build(SCHEDULES[name], "optimizer.schedule", name, options, {})
    return made
