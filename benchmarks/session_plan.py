"""How long the models of Gru4Rec's benchmark learn, by rule from the number of sessions, steps and items alone."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from fl_core.types import Examples

WORKERS = 4
# Of longer logs the last sessions with so many steps are learnt from, and test sessions with so many measured: some 20 minutes on two cores in all.
TRAINING_STEPS_MAX, TEST_STEPS_MAX = 500_000, 20_000
# So many drawn items stand for those that a batch does not want; a client that has no more of its own scores these.
NEGATIVES = 2048
# Adam's: averaging shortens moves and cancels noise, so a federation takes longer steps.
FEDERATED_RATE, ALONE_RATE = 0.01, 0.004
# The rate falls by half a cosine to this share of it, in all models alike: a last round counts, and without it small sets are learnt by heart by then.
RATE_FLOOR = 0.05
# Sessions a batch: of so many steps there are batches enough to make them larger, which saves a third of Adam's time.
BATCH_SIZES = {0: 50, 250_000: 100}
# Small sets are gone through more often, so that each model learns from so many steps at least: (epochs at least, steps at least, epochs at most).
CENTRAL, QUARTER, ROUND = (12, 400_000, 60), (20, 200_000, 60), (2, 20_000, 4)
# In a round all workers together learn from no more steps than that, or go through theirs once.
ROUND_STEPS_MAX = 1_500_000


@dataclass(frozen=True)
class Plan:
    """What is learnt with: the program, sessions a batch, and the epochs of central training, of a quarter alone, and of a worker in a round."""

    program: dict[str, Any]
    batch_size: int
    central_epochs: int
    quarter_epochs: int
    round_epochs: int


def plan(whole: Examples, quarter: Examples) -> Plan:
    items = items_of(whole)
    steps = steps_of(whole)
    in_a_round = min(_epochs(steps_of(quarter), ROUND), max(1, ROUND_STEPS_MAX // steps))
    batch_size = max(size for least, size in BATCH_SIZES.items() if least <= steps)
    program = {"name": "gru4rec", "items": items, "negatives": NEGATIVES}
    return Plan(program, batch_size, _epochs(steps, CENTRAL), _epochs(steps_of(quarter), QUARTER), in_a_round)


def items_of(examples: Examples) -> int:
    return int(max(examples.x.max(), examples.y.max()))


def steps_of(examples: Examples) -> int:
    return int(np.count_nonzero(examples.y))


def _epochs(steps: int, limits: tuple[int, int, int]) -> int:
    least, wanted, most = limits
    return min(most, max(least, ceil(wanted / steps)))
