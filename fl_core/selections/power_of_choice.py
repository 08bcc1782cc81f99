"""Power of choice: of some candidates, drawn by size, those whose loss is highest; it speeds training up where clients differ.

Cho, Wang, Joshi: Client Selection in Federated Learning: Convergence Analysis and Power-of-Choice Selection Strategies, 2020,
https://arxiv.org/abs/2010.01243
"""

import math
from collections.abc import Sequence

from fl_core.errors import InputError
from fl_core.selections._checks import check_count, check_enough
from fl_core.selections.by_size import drawn_by_size
from fl_core.strategy import Draw, Select


def power_of_choice(clients_per_round: int, candidates: int) -> Select:
    """Draws `candidates` clients in proportion to their examples and keeps the `clients_per_round` whose loss was highest when they last took part.

    The paper's variant rpow-d, which asks nobody for a loss; a client who has not been seen counts as the worst. candidates = clients_per_round is by_size.
    Who weighs clients by examples as well counts large ones twice, so the paper weighs them equally (`strategy.weigh: equally`).
    """
    check_count(clients_per_round)
    if candidates < clients_per_round:
        raise InputError(f"selection.candidates is {candidates}; it is at least selection.clients_per_round, {clients_per_round}.")

    def select(draw: Draw) -> Sequence[str]:
        check_enough(draw, candidates, "candidates")
        history = draw.history()
        names = [draw.clients[place] for place in drawn_by_size(draw, candidates)]
        return sorted(names, key=lambda name: (-(history[name].metrics.get("loss", math.inf) if name in history else math.inf), name))[:clients_per_round]

    return select
