"""Clients take turns in the order of their names, those of each worker by its quota if it has one."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from fl_core.errors import InputError, did_you_mean
from fl_core.strategy import Draw, Select

Count = Annotated[int, Field(ge=1)]


def round_robin(clients_per_round: Count | None = None, quotas: Mapping[str, Count] | None = None) -> Select:
    """The next `clients_per_round` clients a round, from the first again after the last; or, with `quotas` such as {worker-0: 2, worker-1: 1}, so many
    of each of these workers' clients."""
    if (clients_per_round is None) == (not quotas):
        raise InputError("selection.clients_per_round and selection.quotas exclude each other, and round_robin needs one of them.")

    def select(draw: Draw) -> Sequence[str]:
        if clients_per_round is not None:
            return next_in_turn(draw.clients, clients_per_round, draw.round, "clients_per_round")
        held: dict[str, list[str]] = {}
        for client in draw.clients:
            held.setdefault(draw.worker_of(client), []).append(client)
        return [client for worker, quota in (quotas or {}).items() for client in next_in_turn(_of(held, worker), quota, draw.round, f"quotas.{worker}")]

    return select


def next_in_turn(clients: Sequence[str], count: int, round: int, option: str) -> list[str]:
    """The clients whose turn it is in the round."""
    if count > len(clients):
        raise InputError(f"selection.{option} is {count}, but there are {len(clients)} clients to take turns; draw at most as many.")
    start = (round - 1) * count
    return [clients[place % len(clients)] for place in range(start, start + count)]


def _of(held: Mapping[str, list[str]], worker: str) -> list[str]:
    if worker not in held:
        raise InputError(f"selection.quotas names the worker '{worker}', who holds no client; {did_you_mean(worker, held)}")
    return held[worker]
