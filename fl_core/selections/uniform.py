"""A fixed number of clients, each as likely as any other, drawn without replacement."""

from collections.abc import Sequence

from fl_core.selections._checks import check_count, check_enough
from fl_core.strategy import Draw, Select


def uniform(clients_per_round: int) -> Select:
    """Draws `clients_per_round` clients a round."""
    check_count(clients_per_round)

    def select(draw: Draw) -> Sequence[str]:
        check_enough(draw, clients_per_round)
        chosen = draw.random.choice(len(draw.clients), size=clients_per_round, replace=False)
        return [draw.clients[i] for i in sorted(chosen.tolist())]

    return select
