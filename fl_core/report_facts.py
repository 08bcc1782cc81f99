"""What a report tells, read from a run's records once; a run that is not finished has some of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fl_core.codec import Record
from fl_core.curves import PERCENTILES
from fl_core.errors import KeyMissing
from fl_core.federation import Population, read_population
from fl_core.journal import read_journal
from fl_core.run_folder import MANIFEST, Run, card_key, close_key, plan_key
from fl_core.summary import rows

HEAT_ROWS_ALONE_MAX, HEAT_ROWS_GROUPED = 60, 40
HEAT_COLUMNS_MAX = 200
FAILURES_MAX = 10_000
TEXT_LETTERS_MAX = 300
NO_FIGURE_OF_TRAINING = ("seen",)

Three = tuple[float, float, float]


@dataclass(frozen=True)
class Participation:
    """Who took part when, by group of clients (rows) and group of rounds (columns); `marks` holds how many were left out and one reason."""

    rows: Sequence[tuple[str, str]]
    columns: Sequence[tuple[int, int]]
    shares: np.ndarray
    took: np.ndarray
    sizes: Sequence[int]
    marks: Mapping[tuple[int, int], tuple[int, str]]


@dataclass(frozen=True)
class Facts:
    """A run as a report needs it: `table` is what metrics.jsonl holds, `spreads` are percentiles over a round's clients by figure and round."""

    name: str
    store: str
    manifest: Record
    summary: Record | None
    table: Sequence[Record]
    spreads: Mapping[str, Mapping[int, Three]]
    participation: Participation | None
    failures: Sequence[Record]
    failures_not_listed: int
    seconds: Mapping[str, Mapping[int, float]]
    died: int
    cards: Mapping[str, Record]
    ended: str | None

    @property
    def rounds(self) -> int:
        """How many rounds are done."""
        return max(len(self.table) - 1, 0)


def read_facts(run: Run) -> Facts:
    """All that the run's records say; KeyMissing where it has no manifest."""
    summary = run.find("summary.json")
    events = read_journal(run, (summary or {}).get("journal"))  # so that the page of a finished run follows from what the server signed
    cards = {worker.name: card for worker in run.job.workers if (card := run.find(card_key(worker.name))) is not None}
    people = read_population(run.job, cards.__getitem__) if len(cards) == len(run.job.workers) else None
    table = rows(run)
    closes = _Closes(people, len(table) - 1)
    for round in range(1, len(table)):
        try:
            closes.add(round, run.record(close_key(round)))
        except KeyMissing:
            continue
    last = run.find(plan_key(len(table))) if table else None
    return Facts(
        name=run.name, store=run.store.uri, manifest=run.record(MANIFEST), summary=summary, table=table,
        spreads=closes.spreads | _held_out_spreads(run, table), participation=closes.participation(),
        failures=closes.failures, failures_not_listed=closes.failures_not_listed,
        seconds=stage_seconds(events), died=sum(event.get("event") == "died" for event in events), cards=cards,
        ended=last.get("why") if last and last["finished"] else None,
    )  # fmt: skip


def stage_seconds(events: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Seconds by stage and round. An evaluation counts to the round whose result it measures; what was done twice counts twice."""
    seconds: dict[str, dict[int, float]] = {}
    for event in events:
        if event.get("event") == "stage":
            round = event["round"] - (event["stage"] == "evaluate")
            of_stage = seconds.setdefault(event["stage"], {})
            of_stage[round] = of_stage.get(round, 0.0) + event["seconds"]
    return seconds


def _held_out_spreads(run: Run, table: Sequence[Record]) -> dict[str, dict[int, Three]]:
    found: dict[str, dict[int, Three]] = {}
    for row in table:
        metrics = row["metrics"]
        for name in {key.removesuffix("_p50") for key in metrics if key.endswith("_p50")}:
            if all(f"{name}_p{p}" in metrics for p in PERCENTILES):
                low, middle, high = (metrics[f"{name}_p{p}"] for p in PERCENTILES)
                found.setdefault(f"held-out {name}", {})[row["round"]] = (low, middle, high)
    return dict(sorted(found.items()))


def held_by(card: Mapping[str, Any]) -> int:
    """How many clients a worker holds, by its card."""
    clients = card["clients"]
    return int(clients["stop"] - clients["start"]) if isinstance(clients, dict) else len(clients)


def sizes_of(card: Mapping[str, Any]) -> np.ndarray:
    """The sizes of the worker's clients; one for all where they are equal."""
    sizes = card["sizes"]
    return np.array(sizes if isinstance(sizes, list) else [sizes] * min(held_by(card), 1), np.int64)


def clip(text: str) -> str:
    return text if len(text) <= TEXT_LETTERS_MAX else f"{text[: TEXT_LETTERS_MAX - 1]}…"


class _Closes:
    """Folds close records one by one, so that a run of many clients and rounds is never in memory as a whole; it has state because it folds."""

    def __init__(self, people: Population | None, rounds: int) -> None:
        self.spreads: dict[str, dict[int, Three]] = {}
        self.failures: list[Record] = []
        self.failures_not_listed = 0
        self._people, self._row_of = people, dict[str, int]()
        count = len(people.clients) if people else 0
        self._rows = count if count <= HEAT_ROWS_ALONE_MAX else HEAT_ROWS_GROUPED
        wide = max(1, -(-rounds // HEAT_COLUMNS_MAX))
        self._columns = [(first, min(first + wide - 1, rounds)) for first in range(1, rounds + 1, wide)]
        self._wide, self._count = wide, count
        self._took = np.zeros((self._rows, len(self._columns)))
        self._marks: dict[tuple[int, int], tuple[int, str]] = {}

    def add(self, round: int, closed: Record) -> None:
        self._add_spreads(round, closed)
        column = (round - 1) // self._wide
        for client in closed["clients"]:
            self._took[self._row(client), column] += 1
        for entry in closed["left_out"]:
            place = (self._row(entry["client"]), column)
            times, _ = self._marks.get(place, (0, ""))
            self._marks[place] = (times + 1, f"{entry['client']} in round {round}: {entry['reason']}")
            if len(self.failures) < FAILURES_MAX:
                self.failures.append({"round": round, **entry})
            else:
                self.failures_not_listed += 1

    def _add_spreads(self, round: int, closed: Record) -> None:
        figures: dict[str, list[float]] = {}
        for metrics in closed["clients"].values():
            for name, value in metrics.items():
                if name not in NO_FIGURE_OF_TRAINING:
                    figures.setdefault(name, []).append(value)
        for name, values in figures.items():
            low, middle, high = map(float, np.percentile(values, PERCENTILES))
            self.spreads.setdefault(f"training {name}", {})[round] = (low, middle, high)

    def _row(self, client: str) -> int:
        assert self._people is not None  # a round is closed only once all cards are there
        if client not in self._row_of:
            self._row_of[client] = self._people.clients.index(client) * self._rows // self._count
        return self._row_of[client]

    def participation(self) -> Participation | None:
        """None where no round is done."""
        if self._people is None or not self._columns:
            return None
        clients = self._people.clients
        starts = [-(-row * self._count // self._rows) for row in range(self._rows + 1)]
        groups = [(clients[a], clients[b - 1]) for a, b in pairwise(starts)]
        sizes = [b - a for a, b in pairwise(starts)]
        rounds = np.array([last - first + 1 for first, last in self._columns])
        shares = self._took / (np.array(sizes)[:, None] * rounds[None, :])
        return Participation(groups, self._columns, shares, self._took.sum(axis=1), sizes, self._marks)
