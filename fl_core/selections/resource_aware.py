"""FedCS: as many clients as a round's time allows, where replies share one channel and are sent one after the other.

Nishio, Yonetani: Client Selection for Federated Learning with Heterogeneous Resources in Mobile Edge, 2019, https://arxiv.org/abs/1804.08333
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from fl_core.errors import InputError
from fl_core.selections._checks import check_enough
from fl_core.selections._devices import Devices
from fl_core.strategy import Draw, Select


def resource_aware(candidates: int, deadline_seconds: Annotated[float, Field(gt=0)], devices: Devices = Devices()) -> Select:  # noqa: B008 (frozen)
    """Draws `candidates` clients and adds of them again and again the one who lengthens the round least, until the next would end it after
    `deadline_seconds`, by the speeds of the simulated `devices`. A client trains while others send, and sends when the channel is free."""
    if candidates < 1:
        raise InputError(f"selection.candidates is {candidates}; at least 1 client is asked.")

    def select(draw: Draw) -> Sequence[str]:
        check_enough(draw, candidates, "candidates")
        places = draw.random.choice(len(draw.clients), size=candidates, replace=False).tolist()
        times = {draw.clients[place]: devices.seconds(draw.clients[place], draw.sizes[place], draw.work) for place in sorted(places)}
        return fill(times, deadline_seconds)

    return select


def fill(times: Mapping[str, tuple[float, float]], deadline_seconds: float) -> list[str]:
    """The clients of (training, sending) times that fit, in the order in which they send."""
    chosen: list[str] = []
    now, left = 0.0, dict(times)
    while left:
        end, client = min((max(now, training) + sending, client) for client, (training, sending) in left.items())
        if end > deadline_seconds:
            break
        chosen.append(client)
        now = end
        del left[client]
    return chosen
