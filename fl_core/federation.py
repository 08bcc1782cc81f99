"""Distributed-Config: the workers of a job, which clients each holds, and the population that they are together."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from fl_core.codec import Record
from fl_core.data import FINGERPRINTED_CLIENTS_MAX, fingerprint, open_data
from fl_core.errors import InputError, did_you_mean
from fl_core.job import Job
from fl_core.meaning import describe_meaning, find_other_meanings
from fl_core.names import EqualSizes, NumberedNames
from fl_core.section import WorkerSection
from fl_core.types import Examples, FederatedData, Meaning


@dataclass(frozen=True)
class Household:
    """What one worker holds: the names of its clients in sorted order, their sizes, how to open one, the global test set if it has it, a fingerprint that
    is worked out when asked for, what there is to say of a client, and what the numbers mean."""

    clients: Sequence[str]
    sizes: Sequence[int]
    open: Callable[[str], Examples]
    test: Callable[[], Examples | None]
    fingerprint: Callable[[], str]
    note: Callable[[str], str] = lambda client: ""
    meaning: Meaning = field(default_factory=Meaning)


def worker_section(job: Job, worker: str) -> WorkerSection:
    for section in job.workers:
        if section.name == worker:
            return section
    raise InputError(f"The federation has no worker '{worker}'; {did_you_mean(worker, [w.name for w in job.workers])}")


def open_household(job: Job, worker: str, data: FederatedData | None = None) -> Household:
    """The clients of a worker: those of its own data, those that the roster lists, or its block of the job's clients.

    Blocks are contiguous and in order, so that the population is the same however many workers share it.
    """
    section = worker_section(job, worker)
    if section.data is not None:
        return _own_data(job, section)
    data = open_data(job, job.data) if data is None else data
    if section.clients is not None:
        return _listed(section, data)
    sharing = [w.name for w in job.workers if w.data is None and w.clients is None]
    place, total = sharing.index(worker), len(data.clients)
    start, stop = place * total // len(sharing), (place + 1) * total // len(sharing)
    return Household(data.clients[start:stop], data.sizes[start:stop], data.open, data.test, partial(fingerprint, data), data.note, data.meaning)


def _own_data(job: Job, section: WorkerSection) -> Household:
    assert section.data is not None
    data = open_data(job, section.data)
    if len(data.clients) == 1:
        names = {section.name: data.clients[0]}
    else:
        names = {f"{section.name}.{client}": client for client in data.clients}

    def note(name: str) -> str:
        return data.note(names[name])

    return Household(list(names), data.sizes, lambda name: data.open(names[name]), data.test, partial(fingerprint, data), note, data.meaning)


def _listed(section: WorkerSection, data: FederatedData) -> Household:
    sizes = dict(zip(data.clients, data.sizes, strict=True))
    listed = sorted(section.clients or ())
    for before, after in pairwise(listed):
        if before == after:
            raise InputError(f"Worker '{section.name}' lists the client '{after}' twice; name each once.")
    for client in listed:
        if client not in sizes:
            raise InputError(f"Worker '{section.name}' lists the client '{client}', which the data do not have; {did_you_mean(client, sizes)}")
    return Household(listed, [sizes[client] for client in listed], data.open, data.test, partial(fingerprint, data), data.note, data.meaning)


def make_card(job: Job, worker: str, household: Household) -> Record:
    """The data card of a worker: schema, names of features and classes, counts and a fingerprint, never rows."""
    clients: Any = list(household.clients)
    if isinstance(household.clients, NumberedNames):
        clients = household.clients.describe()
    sizes = household.sizes
    equal = len(sizes) > 0 and (isinstance(sizes, EqualSizes) or len(set(sizes)) == 1)
    card: Record = {
        "worker": worker,
        "clients": clients,
        "sizes": int(sizes[0]) if equal else [int(size) for size in sizes],
        "fingerprint": household.fingerprint(),
        **describe_meaning(household.meaning),
    }
    test = household.test()
    card["test"] = 0 if test is None else len(test)
    if len(household.clients):
        first = household.open(household.clients[0])
        card["x"] = {"dtype": str(first.x.dtype), "shape": list(first.x.shape[1:])}
        card["y"] = {"dtype": str(first.y.dtype), "shape": list(first.y.shape[1:])}
        if (ends := _label_range(household)) is not None:
            card["y"]["range"] = ends
    return card


def _label_range(household: Household) -> list[float] | None:
    """The least and the greatest label of all clients; None above FINGERPRINTED_CLIENTS_MAX clients, or where they are no finite numbers."""
    if len(household.clients) > FINGERPRINTED_CLIENTS_MAX:
        return None
    labels = (household.open(client).y for client in household.clients)
    ends = np.array([(y.min(), y.max()) for y in labels if y.size and y.dtype.kind in "iuf"])
    return [ends[:, 0].min().item(), ends[:, 1].max().item()] if ends.size and np.isfinite(ends).all() else None


@dataclass(frozen=True)
class Population:
    """All clients of a federation in sorted order, their sizes in the same order, the worker that holds each, and the size of the test set."""

    clients: Sequence[str]
    sizes: Sequence[int]
    worker_of: Callable[[str], str]
    test: int

    def size_of(self, client: str) -> int:
        return self.sizes[self.clients.index(client)]


def read_population(job: Job, card: Callable[[str], Mapping[str, Any]]) -> Population:
    """The population that the workers' cards describe; InputError where two workers hold the same client, nobody holds any, or numbers mean one thing to one
    worker and another to the next."""
    names = [worker.name for worker in job.workers]
    cards = [card(name) for name in names]
    if others := find_other_meanings(dict(zip(names, cards, strict=True))):
        raise InputError(others[0])
    test = max(card["test"] for card in cards)
    counts = [_count(card["clients"]) for card in cards]
    if not sum(counts):
        raise InputError("No worker of the federation holds a client; give at least one of them data.")
    if all(isinstance(card["clients"], dict) or not card["clients"] for card in cards):
        return _numbered(names, cards, counts, test)
    pairs = sorted(
        (client, size, name) for name, card, count in zip(names, cards, counts, strict=True)
        for client, size in zip(clients_of(card), _sizes(card["sizes"], count), strict=True)
    )  # fmt: skip
    holder = {client: name for client, _, name in pairs}
    if len(holder) < len(pairs):
        twice = next(one[0] for one, other in pairwise(pairs) if one[0] == other[0])
        raise InputError(f"The client '{twice}' is held by two workers; a client belongs to one.")
    clients = list(holder)
    return Population(_Indexed(clients), [size for _, size, _ in pairs], holder.__getitem__, test)


def _numbered(names: list[str], cards: list[Mapping[str, Any]], counts: list[int], test: int) -> Population:
    """A population of numbered names is never listed: it may have millions."""
    parts = [card["clients"] for card in cards if card["clients"]]
    clients = NumberedNames(**{**parts[0], "start": 0, "stop": sum(counts)})
    equal = {card["sizes"] for card, count in zip(cards, counts, strict=True) if count and isinstance(card["sizes"], int)}
    sizes: Sequence[int]
    if len(equal) == 1 and all(isinstance(card["sizes"], int) for card, count in zip(cards, counts, strict=True) if count):
        sizes = EqualSizes(equal.pop(), len(clients))
    else:
        sizes = [size for card, count in zip(cards, counts, strict=True) for size in _sizes(card["sizes"], count)]
    ends = list(accumulate(counts))
    return Population(clients, sizes, lambda client: names[bisect_right(ends, clients.index(client))], test)


def _count(clients: Any) -> int:
    return clients["stop"] - clients["start"] if isinstance(clients, dict) else len(clients)


def clients_of(card: Mapping[str, Any]) -> Sequence[str]:
    """The names of the clients that a data card describes."""
    clients = card["clients"]
    return NumberedNames(**clients) if isinstance(clients, dict) else clients


def _sizes(sizes: Any, count: int) -> Sequence[int]:
    return [sizes] * count if isinstance(sizes, int) else sizes


class _Indexed(list[str]):
    """A list that finds the place of a name at once."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self._places = {name: i for i, name in enumerate(names)}

    def index(self, name: str, *limits: Any) -> int:
        return self._places[name]
