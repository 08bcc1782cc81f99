"""Buffered asynchronous averaging: nobody waits for the slowest; whenever `buffer_size` clients are done, the server takes a step.

Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba: Federated Learning with Buffered Asynchronous Aggregation, 2022, https://arxiv.org/abs/2106.06639
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from typing import Literal

import numpy as np

from fl_core.errors import InputError
from fl_core.selections._devices import Devices
from fl_core.strategies._checks import at_least
from fl_core.strategies.fed_avg import fed_avg, local_work
from fl_core.strategy import Draw, Exchange, Strategy
from fl_core.types import Client, ClientUpdate, LocalWork, ModelUpdate, RoundState, Weights


def fed_buff(
    buffer_size: int = 3,
    clients_in_flight: int = 6,
    staleness_max: int = 10,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
    devices: Devices = Devices(),  # noqa: B008 (frozen)
    arrivals: Literal["simulated", "measured"] = "simulated",
) -> Strategy:
    """FedBuff. `clients_in_flight` clients train at any time, each from the state that was the newest when it began; a round is made of the `buffer_size`
    that are done next, and who is done is followed by another, drawn at random. Who is done when is simulated by the speeds of `devices`, so that a run
    can be repeated, or with `arrivals: measured` it is whose replies lie in the store first, and the devices are left alone; others start with each round.

    A client whose state is s rounds old by then (its staleness) counts 1 / sqrt(1 + s), divided by the number of clients as in the paper; one of more than
    `staleness_max` is dropped. Clients count equally otherwise. The other options are FedAvg's.
    """
    at_least(1, buffer_size=buffer_size, clients_in_flight=clients_in_flight, staleness_max=staleness_max)
    work = local_work(local_epochs, local_steps, batch_size, shuffle)
    if arrivals == "measured":
        return measured(buffer_size, clients_in_flight, staleness_max, work, server_learning_rate)
    played: list[Flights] = []

    def flights(draw: Draw) -> Flights:
        if not played or not played[0].are_of(draw):
            check_enough(draw, clients_in_flight + buffer_size)
            played[:] = [Flights(draw, lambda name, size: sum(devices.seconds(name, size, work)), clients_in_flight, buffer_size, staleness_max)]
        return played[0]

    def select(draw: Draw) -> Mapping[str, int]:
        return flights(draw).arrivals(draw.round)

    def round_seconds(draw: Draw, sizes: Mapping[str, int]) -> float:
        return flights(draw).seconds(draw.round)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        trained = client.fit(state.weights, work)
        metrics = {**trained.metrics, "staleness": float(client.staleness)}
        return ClientUpdate(discounted(trained.move, client.staleness), weight=1, metrics=metrics), memory

    base = fed_avg(server_learning_rate=server_learning_rate)
    return replace(
        base, exchanges=(Exchange("train", train, weigh="equally"),), select=select, staleness_max=staleness_max, work=work, round_seconds=round_seconds
    )


def measured(buffer_size: int, clients_in_flight: int, staleness_max: int, work: LocalWork, server_learning_rate: float) -> Strategy:
    """FedBuff whose rounds close by who arrives. How stale a reply is turns out only when it is there, so the server discounts it."""
    if buffer_size > clients_in_flight:
        raise ValueError(
            f"buffer_size is {buffer_size} and clients_in_flight {clients_in_flight}; where arrivals are measured, a round is made of clients in flight"
        )

    def start(draw: Draw) -> Sequence[str]:
        if len(draw.clients) < clients_in_flight:
            raise InputError(f"strategy.clients_in_flight is {clients_in_flight}, but there are {len(draw.clients)} clients; ask for less.")
        busy = set(draw.in_flight)
        while len(busy) < clients_in_flight:
            busy.add(draw.clients[int(draw.random.integers(len(draw.clients)))])
        return sorted(busy.difference(draw.in_flight))

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        trained = client.fit(state.weights, work)
        return ClientUpdate(trained.move, weight=1, metrics=trained.metrics), memory

    base = fed_avg(server_learning_rate=server_learning_rate)

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        moves = {client: discounted(update.moves[client], update.staleness.get(client, 0)) for client in update.clients}
        return base.apply(state, replace(update, moves=moves, weights=dict.fromkeys(update.clients, 1.0)))

    return replace(
        base, exchanges=(Exchange("train", train, form="list", weigh="equally"),), apply=apply, select=start,
        staleness_max=staleness_max, buffer_size=buffer_size, work=work,
    )  # fmt: skip


def discounted(move: Weights, staleness: int) -> Weights:
    """The move times 1 / sqrt(1 + staleness), in its own type."""
    return {name: (value / sqrt(1 + staleness)).astype(value.dtype) for name, value in move.items()} if staleness else move


def check_enough(draw: Draw, needed: int) -> None:
    if len(draw.clients) < needed:
        raise InputError(
            f"strategy.clients_in_flight and strategy.buffer_size come to {needed}, but there are {len(draw.clients)} clients; a client takes part once "
            "a round, so ask for less."
        )


class Flights:
    """Who is done in which round, from the seed and the devices' speeds alone. It has state because every round goes on where the one before ended: what
    was played once is remembered, and any process that plays from the beginning comes to the same."""

    def __init__(self, draw: Draw, seconds: Callable[[str, int], float], in_flight: int, buffer_size: int, staleness_max: int) -> None:
        self._clients, self._sizes, self._seed = draw.clients, draw.sizes, draw.seed
        self._seconds, self._in_flight, self._buffer_size, self._staleness_max = seconds, in_flight, buffer_size, staleness_max
        self._random = np.random.Generator(np.random.PCG64(draw.seed))
        self._now, self._started = 0.0, 0
        self._flying: list[tuple[float, int, int, int]] = []  # when it is done, in which order it began, its place among the clients, its base round
        self._rounds: list[tuple[dict[str, int], float]] = []

    def are_of(self, draw: Draw) -> bool:
        """Whether these are the flights of the run that the draw is for."""
        return self._clients is draw.clients and self._sizes is draw.sizes and self._seed == draw.seed

    def arrivals(self, round: int) -> Mapping[str, int]:
        """The clients that are done in the round, each with the round whose state it began from; those that are too late are among them."""
        return self._played(round)[0]

    def seconds(self, round: int) -> float:
        """The simulated seconds of the round."""
        return self.ends_at(round) - (self.ends_at(round - 1) if round > 1 else 0.0)

    def ends_at(self, round: int) -> float:
        """The simulated seconds from the first start to the end of the round."""
        return self._played(round)[1]

    def _played(self, round: int) -> tuple[dict[str, int], float]:
        while len(self._rounds) < round:
            self._rounds.append((self._play(len(self._rounds) + 1), self._now))
        return self._rounds[round - 1]

    def _play(self, round: int) -> dict[str, int]:
        arrived: dict[int, int] = {}
        in_time = 0
        while in_time < self._buffer_size:
            self._start(round, arrived)
            self._now, _, place, base = heapq.heappop(self._flying)
            arrived[place] = base
            in_time += round - base <= self._staleness_max
        return {self._clients[place]: base for place, base in arrived.items()}

    def _start(self, round: int, arrived: Mapping[int, int]) -> None:
        """Sends out clients that neither train nor took part in this round yet, until enough train."""
        busy = {place for _, _, place, _ in self._flying} | set(arrived)
        while len(self._flying) < self._in_flight and len(busy) < len(self._clients):
            place = self._free(busy)
            busy.add(place)
            done = self._now + self._seconds(self._clients[place], self._sizes[place])
            heapq.heappush(self._flying, (done, self._started, place, round))
            self._started += 1

    def _free(self, busy: set[int]) -> int:
        while True:
            place = int(self._random.integers(len(self._clients)))
            if place not in busy:
                return place
