"""A selection of your own: half of the round's clients are those who fared worst when last seen, the others are drawn."""

from collections.abc import Sequence

from fl_core.strategy import Draw, Select


def pick(clients_per_round: int = 4) -> Select:
    """What a job writes under `selection:` arrives here. All randomness is the draw's own, so that the run can be repeated."""

    def select(draw: Draw) -> Sequence[str]:
        losses = {client: seen.metrics["loss"] for client, seen in draw.history().items()}
        worst = sorted(losses, key=lambda client: (-losses[client], client))[: clients_per_round // 2]
        others = [client for client in draw.clients if client not in worst]
        return [*worst, *draw.random.permutation(others)[: clients_per_round - len(worst)].tolist()]

    return select
