"""The replies of a round made one update: exact sums, or the clients side by side, as the exchange's form says."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fl_core import exact
from fl_core.codec import Record, decode_tensors, sha256
from fl_core.errors import InputError
from fl_core.run_folder import Run
from fl_core.strategy import Exchange
from fl_core.types import Form, ModelUpdate, Weights

NOBODY: Mapping[str, int] = {}


class Merging:
    """Adds accepted replies one at a time, in any order; it has state because sums run."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._totals: dict[str, np.ndarray] = {}
        self._weight = 0
        self._moves: dict[str, Weights] = {}
        self._weights: dict[str, float] = {}

    def add(self, tensors: Weights, reply: Record) -> None:
        """Adds a reply that was found good; its tensors may be read-only and are not kept where they are summed."""
        if self._form == "list":
            for client, move, weight in apart(tensors, reply):
                self._moves[client], self._weights[client] = move, weight
        elif reply["clients"]:
            if self._totals:
                exact.add_totals(self._totals, tensors)
            else:
                self._totals = {name: np.array(value, np.int64) for name, value in tensors.items()}
            self._weight += sum(figures["weight"] for figures in reply["clients"].values())

    def update(self, clients: Sequence[str], population: int, staleness: Mapping[str, int] = NOBODY) -> ModelUpdate:
        """What was added, of these clients in this order, out of so many that the federation has; each so stale."""
        if self._form == "list":
            moves, weights = {c: self._moves[c] for c in clients}, {c: self._weights[c] for c in clients}
            return ModelUpdate("list", tuple(clients), moves=moves, weights=weights, population=population, staleness=staleness)
        return ModelUpdate(self._form, tuple(clients), total=self._totals, weight=self._weight, population=population, staleness=staleness)


def merge(run: Run, record: Record, exchange: Exchange) -> ModelUpdate:
    """The replies that a close record lists as one update, read one at a time."""
    merging = Merging(exchange.form)
    for tensors, reply in accepted(run, record):
        merging.add(tensors, reply)
    return merging.update(tuple(record["clients"]), len(run.population.clients), staleness_of(record))


def staleness_of(record: Record) -> dict[str, int]:
    """How many rounds old the state was from which each client of a close record started; nobody's unless arrivals are measured."""
    return {client: record["round"] - base for client, base in record.get("bases", {}).items()}


def accepted(run: Run, record: Record) -> Iterator[tuple[Weights, Record]]:
    """The replies that a close record lists, checked against their digests."""
    for key, digest in sorted(record["replies"].items()):
        data = run.store.get(key)
        if sha256(data) != digest:
            raise InputError(f"'{key}' is not the reply that round {record['round']} was closed with; its sha256 differs.")
        yield decode_tensors(data, key)


def apart(tensors: Weights, reply: Record) -> Iterator[tuple[str, Weights, float]]:
    """The clients of a reply of form `list`, each with its move and weight."""
    moves: dict[str, dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        place, _, inner = name.partition(".")
        moves.setdefault(place, {})[inner] = value
    for number, (client, figures) in enumerate(reply["clients"].items()):
        yield client, moves.get(str(number), {}), figures["weight"]
