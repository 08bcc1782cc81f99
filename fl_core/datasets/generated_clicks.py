"""Advertisements like Criteo's, drawn by rules under which the best possible prediction of a click is known.

A publisher shows them, and shows some categories more often than others do. The chance of a click adds up, as a logarithm of odds, from the publisher, every
category, every count, and what some pairs of categories are to each other, which no sum over single ones can tell.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.datasets._clicks import CATEGORIES, COUNTS, hash_word, scale_counts
from fl_core.datasets._options import Seed, TestShare
from fl_core.datasets._split import split_test
from fl_core.types import CentralData, Examples

Count = Annotated[int, Field(ge=1, le=100_000_000)]
Few = Annotated[int, Field(ge=2, le=10_000)]
MISSING_SHARE = 0.1
RARE_CLICKS = -1.6
PAIRS, PAIR_SIZE = 6, 2
PUBLISHER = 0  # the category that names it


@dataclass(frozen=True)
class World:
    """The rules. `values` (26,) is how many words a category has; `odds` and `places` are by category and word; `counts` (13, 2) is what a count and its
    absence are worth; `common` is by category, (publishers, words); `pairs` are two categories each, with a table of the worth of two words."""

    values: tuple[int, ...]
    odds: tuple[np.ndarray, ...]
    counts: np.ndarray
    common: tuple[np.ndarray, ...]
    pairs: tuple[tuple[int, int, np.ndarray], ...]

    @property
    def publishers(self) -> int:
        return self.values[PUBLISHER]


@dataclass(frozen=True)
class Shown:
    """Advertisements: as examples, who published each (N,), and its true chance of a click (N,)."""

    examples: Examples
    publisher: np.ndarray
    chance: np.ndarray


def generated_clicks(examples: Count = 100_000, publishers: Few = 10, words: Few = 50, test_share: TestShare = 0.2, seed: Seed = 0) -> CentralData:
    """x (N, 39) float32 and y (N,) int64 as of `criteo`; columns `label` and `publisher`. A category has from 4 to `words` words, the publisher's aside."""
    shown = draw_clicks(make_world(publishers, words, seed), examples, seed)
    return split_test(shown.examples, {"label": shown.examples.y, "publisher": shown.publisher}, test_share, seed)


def make_world(publishers: int, words: int, seed: int) -> World:
    """Rules drawn from the seed."""
    random = np.random.Generator(np.random.PCG64([seed, 0]))
    values = (publishers, *np.geomspace(min(4, words), words, CATEGORIES - 1).round().astype(int).tolist())
    common = tuple(_common(random, publishers, count) for count in values)
    usual = [each.mean(axis=0) for each in common]
    odds = [random.normal(0, 0.2, count) for count in values]
    chosen = (1 + random.permutation(2 * PAIRS)).reshape(PAIRS, 2).tolist()
    pairs = [(a, b, random.normal(0, 0.6, (values[a], PAIR_SIZE)) @ random.normal(0, 0.6, (PAIR_SIZE, values[b]))) for a, b in chosen]
    # What all have in common is taken out, so that clicks are about as rare whatever the seed.
    return World(
        values=values,
        odds=tuple(worth - share @ worth for worth, share in zip(odds, usual, strict=True)),
        counts=random.normal(0, 0.15, (COUNTS, 2)),
        common=common,
        pairs=tuple((a, b, worth - usual[a] @ worth @ usual[b]) for a, b, worth in pairs),
    )


def _common(random: np.random.Generator, publishers: int, words: int) -> np.ndarray:
    """How often each publisher shows each word (publishers, words): the first words most often, by Zipf's law, each publisher with likings of its own."""
    weights = random.gamma(2.0, size=(publishers, words)) / np.arange(1, words + 1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def draw_clicks(world: World, count: int, seed: int) -> Shown:
    """So many advertisements."""
    random = np.random.Generator(np.random.PCG64([seed, 1]))
    publisher = random.integers(0, world.publishers, count)
    words = np.stack([publisher, *(_draw_words(random, world.common[field], publisher) for field in range(1, CATEGORIES))], axis=1)
    counts = np.floor(np.exp(random.normal(1.0, 1.0, (count, COUNTS))))
    counts[random.random(counts.shape) < MISSING_SHARE] = np.nan
    numbers = scale_counts(counts)
    chance = 1 / (1 + np.exp(-_log_odds(world, words, numbers)))
    y = (random.random(count) < chance).astype(np.int64)
    hashes = [np.array([hash_word(field, str(word)) for word in range(world.values[field])])[words[:, field]] for field in range(CATEGORIES)]
    return Shown(Examples(np.concatenate([numbers, np.stack(hashes, axis=1)], axis=1).astype(np.float32), y), publisher, chance)


def best_scores(chance: np.ndarray) -> dict[str, float]:
    """The log loss and the AUC that nobody can beat on average: of somebody who knows each true chance. Equal chances count as half a success."""
    loss = -(chance * np.log(chance) + (1 - chance) * np.log1p(-chance)).mean()
    levels, level = np.unique(chance, return_inverse=True)
    clicked = np.bincount(level, chance, minlength=len(levels))
    passed = np.bincount(level, 1 - chance, minlength=len(levels))
    itself = float((chance * (1 - chance)).sum())
    above = float((clicked * (np.cumsum(passed) - passed / 2)).sum()) - itself / 2
    return {"loss": float(loss), "auc": above / (float(clicked.sum() * passed.sum()) - itself)}


def _draw_words(random: np.random.Generator, common: np.ndarray, publisher: np.ndarray) -> np.ndarray:
    """A word for each advertisement, as often as its publisher shows it."""
    edges = np.cumsum(common, axis=1)
    edges[:, -1] = 1.0
    words = np.empty(len(publisher), np.int64)
    drawn = random.random(len(publisher))
    for one in range(len(common)):
        its = publisher == one
        words[its] = np.searchsorted(edges[one], drawn[its], side="right")
    return words


def _log_odds(world: World, words: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Of each advertisement, from what the examples show."""
    odds = np.full(len(words), RARE_CLICKS)
    for field in range(CATEGORIES):
        odds += world.odds[field][words[:, field]]
    missing = numbers < 0
    odds += (np.where(missing, 0, numbers - 1.3) @ world.counts[:, 0]) + missing @ world.counts[:, 1]
    for a, b, worth in world.pairs:
        odds += worth[words[:, a], words[:, b]]
    return odds
