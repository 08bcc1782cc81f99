"""Draws for selections: a few clients with their sizes, and what was last seen of some of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from fl_core.strategy import Draw, Seen


def a_draw(
    sizes: Mapping[str, int], round: int = 1, seed: int = 0, workers: Mapping[str, str] | None = None, losses: Mapping[str, float] | None = None
) -> Draw:
    """A draw over clients and sizes; `losses` were seen in the round before."""
    clients = sorted(sizes)
    seen = {client: Seen(round - 1, {"loss": loss}) for client, loss in (losses or {}).items()}
    random = np.random.Generator(np.random.PCG64([seed, round]))
    return Draw(round, clients, [sizes[c] for c in clients], random, worker_of=lambda c: (workers or {})[c], history=lambda: seen)


def times_drawn(choices: Sequence[Sequence[str]]) -> dict[str, int]:
    """How often each client was drawn."""
    counts: dict[str, int] = {}
    for chosen in choices:
        assert len(set(chosen)) == len(chosen)
        for client in chosen:
            counts[client] = counts.get(client, 0) + 1
    return counts
