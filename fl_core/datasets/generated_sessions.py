"""Sessions of people whose hidden taste decides what they look at, drawn by rules under which the best possible recommendation is known.

A taste is a set of items; an item belongs to one taste, or to several. A session has one taste, which it never shows: most of its items are of the
taste, the others are any item. The last item alone may mislead, so a model must learn which items go together and remember the session so far.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._sessions import Sessions, examples_of, last_share
from fl_core.errors import InputError
from fl_core.types import CentralData

Count = Annotated[int, Field(ge=1, le=1_000_000)]
LOYAL = 0.6
LENGTH_MAX = 30
SCORES_MAX = 1 << 23


@dataclass(frozen=True)
class World:
    """The rules: the items of each taste (tastes, size), counted from 0, the tastes of each item (items, several), and how common each taste is."""

    favourites: np.ndarray
    tastes: np.ndarray
    common: np.ndarray

    @property
    def items(self) -> int:
        return len(self.tastes)


def generated_sessions(
    sessions: Count = 25_000, items: Count = 1_000, taste_size: Count = 20, tastes_per_item: Count = 1, test_share: TestShare = 0.2, seed: Seed = 0
) -> CentralData:
    """x (N, steps) int32, items from 1 on and 0 behind the end, y (N, steps) the item after each. Sessions have 2 items and more, 6 on average."""
    world = make_world(items, taste_size, tastes_per_item, seed)
    drawn, is_test = draw_sessions(world, sessions, seed), last_share(sessions, test_share)
    train, test = drawn.take(~is_test), drawn.take(is_test)
    return CentralData(examples_of(train), examples_of(test) if len(test) else None, {"length": train.lengths})


def make_world(items: int, taste_size: int, tastes_per_item: int, seed: int) -> World:
    """Rules drawn from the seed: all items are dealt to tastes anew as often as each has tastes. Needs a number of items that the size divides."""
    if items % taste_size:
        raise InputError(f"data.taste_size is {taste_size}, which does not divide the {items} items; take one that does.")
    random = np.random.Generator(np.random.PCG64([seed, 0]))
    deals = [random.permutation(items) for _ in range(tastes_per_item)]
    favourites = np.concatenate(deals).reshape(-1, taste_size)
    tastes = np.argsort(np.concatenate(deals), kind="stable").reshape(items, tastes_per_item) // taste_size
    common = random.gamma(2.0, size=len(favourites))
    return World(favourites, tastes, common / common.sum())


def draw_sessions(world: World, count: int, seed: int) -> Sessions:
    """So many sessions, of items from 1 on."""
    random = np.random.Generator(np.random.PCG64([seed, 1]))
    lengths = np.minimum(1 + random.geometric(0.2, count), LENGTH_MAX)
    taste = np.repeat(random.choice(len(world.common), count, p=world.common), lengths)
    events = len(taste)
    favourite = world.favourites[taste, random.integers(0, world.favourites.shape[1], events)]
    items = np.where(random.random(events) < LOYAL, favourite, random.integers(0, world.items, events))
    return Sessions((items + 1).astype(np.int32), lengths)


def best_recall(world: World, x: np.ndarray, k: int = 20) -> float:
    """The recall@k that nobody can beat on average: of somebody who knows the rules and, before each item that follows, the session so far.

    x (N, steps) as the loader gives it. What is believed of each session's taste follows Bayes' rule exactly; what counts is the chance of the
    k likeliest items.
    """
    chance, positions, kept = 0.0, 0, min(k, world.items)
    loyal, stray = LOYAL / world.favourites.shape[1], (1 - LOYAL) / world.items
    rows = max(1, SCORES_MAX // max(world.items, len(world.common)))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        belief = np.tile(world.common, (len(part), 1))
        for step in range(part.shape[1]):
            belief, part = belief[part[:, step] > 0], part[part[:, step] > 0]
            evidence = np.full_like(belief, stray)
            np.put_along_axis(evidence, world.tastes[part[:, step] - 1], loyal + stray, axis=1)
            belief = belief * evidence
            belief /= belief.sum(axis=1, keepdims=True)
            scores = belief[:, world.tastes].sum(axis=2) * loyal + stray
            chance += float(np.partition(scores, -kept, axis=1)[:, -kept:].sum())
            positions += len(part)
    return chance / positions
