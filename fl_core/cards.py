"""Compares the data cards of a job's workers before anybody trains: what does not match is one sentence each."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fl_core.codec import Record
from fl_core.errors import FederationError, InputError, did_you_mean
from fl_core.federation import read_population
from fl_core.job import Job
from fl_core.meaning import find_other_meanings


class _Kind(BaseModel):
    dtype: str
    shape: list[int]
    range: tuple[float, float] | None = None


class _Numbered(BaseModel):
    count: int
    prefix: str
    start: int
    stop: int


class _Card(BaseModel):
    """What is compared of a card; whatever else it holds is passed over."""

    worker: str
    clients: list[str] | _Numbered
    sizes: int | list[int]
    test: int
    x: _Kind | None = None
    y: _Kind | None = None
    features: list[str] | None = None
    classes: list[str] | None = None
    vocabulary: str | None = None


def read_card(path: Path) -> Record:
    """The card in a file, signed or not; InputError where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"The data card '{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The data card '{path}' is not JSON ({error}); `fl data card` writes one.") from error
    try:
        return _Card.model_validate(content).model_dump(exclude_none=True)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "all of it"
        raise InputError(f"'{path}' is no data card: {where} is missing or of another kind; `fl data card` writes one.") from error


def find_mismatches(job: Job, cards: Sequence[Record], *, uneven_labels: bool = False) -> list[str]:
    """One sentence for each thing in which the cards do not fit together or to the job; empty where all is well.

    Where all cards say by which list their items are numbered, shapes and ranges may differ: they are those of each worker's longest session and items.
    With `uneven_labels`, workers may have other labels than the rest, as long as the program's number of classes, where it is given, has room for them.
    """
    names = [worker.name for worker in job.workers]
    found = _roster(names, [str(card["worker"]) for card in cards])
    held = {str(card["worker"]): card for card in cards if str(card["worker"]) in names}
    schemas = {name: card for name, card in held.items() if "x" in card and "y" in card}
    numbered = all("vocabulary" in card for card in schemas.values())
    for half in ("x", "y"):
        found += _odd_ones(f"{half}'s type", {name: str(card[half]["dtype"]) for name, card in schemas.items()})
        if not numbered:
            found += _odd_ones(f"{half}'s shape", {name: str(tuple(card[half]["shape"])) for name, card in schemas.items()})
    found += find_other_meanings(held) + _labels(job, schemas, uneven_labels or numbered) + _sizes(job, held)
    if not found:
        found += _population(job, held)
    return found


def _roster(names: Sequence[str], given: Sequence[str]) -> list[str]:
    unknown = [f"The job has no worker '{name}'; {did_you_mean(name, names)}" for name in sorted({*given} - {*names})]
    twice = [f"There are {count} cards of the worker '{name}'; give one." for name, count in sorted(Counter(given).items()) if count > 1]
    missing = [f"The card of the worker '{name}' is not there; every worker of the job gives one." for name in names if name not in given]
    return unknown + twice + missing


def _odd_ones(what: str, values: Mapping[str, str]) -> list[str]:
    """A sentence for each worker that is not like most; between equals, like the first."""
    if not values:
        return []
    usual = Counter(values.values()).most_common(1)[0][0]
    like = next(name for name, value in values.items() if value == usual)
    return [f"The worker '{name}' has {value} as {what}, but '{like}' has {usual}; make them equal." for name, value in values.items() if value != usual]


def _labels(job: Job, schemas: Mapping[str, Record], uneven: bool) -> list[str]:
    ranges = {name: card["y"]["range"] for name, card in schemas.items() if "range" in card["y"]}
    classes = job.program.options.get("classes")
    if isinstance(classes, int):
        return [
            f"The worker '{name}' has labels from {_number(low)} to {_number(high)}, but program.classes is {classes}; they go from 0 to {classes - 1}."
            for name, (low, high) in ranges.items() if low < 0 or high >= classes
        ]  # fmt: skip
    measured = any("float" in str(card["y"]["dtype"]) for card in schemas.values())
    if uneven or measured:
        return []
    told = [tuple(card.get("classes", ())) for card in schemas.values()]
    if all(told) and len({*told}) == 1:
        return []
    way_out = "give all workers the same data.classes" if all(told) else "number the classes alike"
    sentences = _odd_ones("its range of labels", {name: f"{_number(low)} to {_number(high)}" for name, (low, high) in ranges.items()})
    return [f"{sentence.removesuffix('; make them equal.')}; {way_out}, or say --uneven-labels." for sentence in sentences]


def _sizes(job: Job, cards: Mapping[str, Record]) -> list[str]:
    found = []
    for name, card in cards.items():
        clients, sizes = card["clients"], card["sizes"]
        count = clients["stop"] - clients["start"] if isinstance(clients, dict) else len(clients)
        least = sizes if isinstance(sizes, int) else min(sizes, default=0)
        if not count:
            found.append(f"The worker '{name}' holds no client; give it data, or take it out of federation.workers.")
        elif isinstance(sizes, list) and len(sizes) != count:
            found.append(f"The card of the worker '{name}' names {count} clients and {len(sizes)} sizes; make it again.")
        elif least < (needed := 2 if job.data.held_out else 1):
            found.append(f"The worker '{name}' has a client with {least} examples, and the job needs at least {needed}; leave the client out.")
    if cards and job.evaluate.on != "held_out" and not any(card["test"] for card in cards.values()):
        found.append(f"No worker has a test set, but evaluate.on is '{job.evaluate.on}'; give one of them a test set, or set it to held_out.")
    return found


def _population(job: Job, cards: Mapping[str, Record]) -> list[str]:
    """What only shows when all clients are put together, such as one that two workers hold."""
    try:
        read_population(job, cards.__getitem__)
    except FederationError as error:
        return [str(error)]
    return []


def _number(value: Any) -> str:
    return f"{value:g}"
