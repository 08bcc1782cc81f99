"""LEAF's synthetic set: each user has a model of its own near a cluster's, and as many samples as a log-normal draw says.

Caldas et al. 2018, section 3, https://arxiv.org/abs/1812.01097. The draws come from numpy's legacy generator in LEAF's order, so that a seed gives
LEAF's own data: 931231 with 1 000 users gives 107 553 samples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

SAMPLES_MIN, SAMPLES_MAX = 5, 1000
SEED = 931231
NOISE = 0.1


def make_users(users: int, seed: int = SEED, classes: int = 5, features: int = 60, clusters: Sequence[float] = (1.0,)) -> dict[str, dict[str, Any]]:
    """LEAF's user_data by user ("0", "1", …): x lists of `features` numbers, y classes from 0; `clusters` are the clusters' probabilities."""
    sizes = draw_sizes(users, np.random.RandomState(seed))
    random = np.random.RandomState(seed)
    mixing = random.normal(size=(features + 1, classes, len(clusters)))
    centres = [random.normal(loc=random.normal(), size=len(clusters)) for _ in clusters]
    # One by one: numpy's power of an array differs in the last bit from LEAF's.
    spread = np.diag([place**-1.2 for place in range(1, features + 1)])
    return {str(user): _draw_user(random, size, mixing, centres[_choose(random, clusters)], spread) for user, size in enumerate(sizes)}


def draw_sizes(users: int, random: np.random.RandomState) -> list[int]:
    """How many samples each user has."""
    return [min(int(size) + SAMPLES_MIN, SAMPLES_MAX) for size in random.lognormal(3, 2, users)]


def _choose(random: np.random.RandomState, clusters: Sequence[float]) -> int:
    return int(random.choice(len(clusters), p=clusters))


def _draw_user(random: np.random.RandomState, size: int, mixing: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> dict[str, Any]:
    middle = random.normal(loc=random.normal(), size=len(spread))
    x = random.multivariate_normal(middle, spread, size)
    weights = mixing @ random.normal(loc=centre, scale=NOISE)
    scores = np.hstack([np.ones((size, 1)), x]) @ weights + random.normal(scale=NOISE, size=(size, weights.shape[1]))
    return {"x": x.tolist(), "y": scores.argmax(axis=1).tolist()}
