"""A fixed number of clients, each as likely as any other, drawn without replacement."""

from collections.abc import Sequence

from fl_core.errors import InputError
from fl_core.strategy import Draw, Select


def uniform(clients_per_round: int) -> Select:
    """Draws `clients_per_round` clients a round."""
    if clients_per_round < 1:
        raise InputError(f"selection.clients_per_round is {clients_per_round}; at least 1 client takes part in a round.")

    def select(draw: Draw) -> Sequence[str]:
        if clients_per_round > len(draw.clients):
            raise InputError(f"selection.clients_per_round is {clients_per_round}, but the federation has {len(draw.clients)} clients; draw at most as many.")
        chosen = draw.random.choice(len(draw.clients), size=clients_per_round, replace=False)
        return [draw.clients[i] for i in sorted(chosen.tolist())]

    return select
