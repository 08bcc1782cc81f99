"""Only clients whose devices are expected to be done in time, each of them as likely as any other."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from fl_core.selections._checks import check_count, check_enough
from fl_core.selections._devices import Devices
from fl_core.strategy import Draw, Select


def deadline_aware(clients_per_round: int, deadline_seconds: Annotated[float, Field(gt=0)], devices: Devices = Devices()) -> Select:  # noqa: B008 (frozen)
    """Draws `clients_per_round` of the clients who train and reply within `deadline_seconds`, by the speeds of the simulated `devices`; fewer where there
    are not so many. Rounds are short, and what slow clients know is never learnt: compare with uniform before you keep it."""
    check_count(clients_per_round)

    def select(draw: Draw) -> Sequence[str]:
        check_enough(draw, clients_per_round)
        chosen: list[str] = []
        for place in draw.random.permutation(len(draw.clients)).tolist():
            if sum(devices.seconds(draw.clients[place], draw.sizes[place], draw.work)) <= deadline_seconds:
                chosen.append(draw.clients[place])
            if len(chosen) == clients_per_round:
                break
        return chosen

    return select
