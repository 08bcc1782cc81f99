"""What the workers' numbers stand for, by their data cards: one sentence each where the same number means one thing here and another there."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from fl_core.codec import Record, sha256
from fl_core.types import Meaning

NAMES_MAX = 1000
CLASSES_SHOWN = 20

Cards = Mapping[str, Mapping[str, Any]]


def describe_meaning(meaning: Meaning) -> Record:
    """What a data card says of it; what is not known is not there. Of more than NAMES_MAX names there is one that holds their digest."""
    found = {"features": _names(meaning.features), "classes": _names(meaning.classes), "vocabulary": meaning.vocabulary}
    return {key: value for key, value in found.items() if value}


def find_other_meanings(cards: Cards) -> list[str]:
    """A sentence for each worker, by its name, whose features, classes or items are numbered unlike those of most; cards that do not say it are left aside."""
    return _other_features(_said(cards, "features")) + _other_classes(_said(cards, "classes")) + _other_items(_said(cards, "vocabulary"))


def _other_features(names: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"Feature {place + 1} of the worker '{worker}' is '{found}', but that of '{like}' is '{usual}'; "
        "name the columns alike, and list them in one order as data.features."
        for worker, place, found, like, usual in _odd_ones(names)
    ]


def _other_classes(names: Mapping[str, Sequence[str]]) -> list[str]:
    known = list(dict.fromkeys(chain.from_iterable(names.values())))
    one = f"data.classes: [{', '.join(map(_quoted, known))}]" if len(known) <= CLASSES_SHOWN else "data.classes, one list of all"
    return [
        f"Label {place} of the worker '{worker}' is '{found}', but that of '{like}' is '{usual}'; give all workers the same {one}."
        for worker, place, found, like, usual in _odd_ones(names)
    ]


def _other_items(digests: Mapping[str, str]) -> list[str]:
    return [
        f"The worker '{worker}' numbers its items by another list than '{like}'; give all workers the same file as data.items_path."
        for worker, _, _, like, _ in _odd_ones({worker: [digest] for worker, digest in digests.items()})
    ]


def find_untold(cards: Cards) -> list[str]:
    """A sentence for each card that leaves open what others say, so that it cannot be compared."""
    words = {"features": "names no features", "classes": "names no classes", "vocabulary": "does not say how items are numbered"}
    return [
        f"The card of the worker '{name}' {what}, so that nobody compared them."
        for key, what in words.items() if (said := _said(cards, key)) for name in cards if name not in said
    ]  # fmt: skip


def _said(cards: Cards, key: str) -> dict[str, Any]:
    return {name: card[key] for name, card in cards.items() if card.get(key)}


def _names(names: Sequence[str]) -> list[str]:
    return list(names) if len(names) <= NAMES_MAX else [f"the first of {len(names)} with sha256 {sha256(json.dumps(list(names)).encode())[:16]}"]


def _odd_ones(lists: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int, str, str, str]]:
    """Of each worker whose list differs from most others, between equals from the first, the first place where it does: worker, place, what stands there,
    a worker that is like most, and what stands there. A list may be longer than another."""
    told: set[str] = set()
    longest = max(map(len, lists.values()), default=0) if len(set(map(tuple, lists.values()))) > 1 else 0
    for place in range(longest):
        here = {name: words[place] for name, words in lists.items() if place < len(words)}
        usual = Counter(here.values()).most_common(1)[0][0]
        like = next(name for name, word in here.items() if word == usual)
        for name, word in here.items():
            if word != usual and name not in told:
                told.add(name)
                yield name, place, word, like, usual


def _quoted(name: str) -> str:
    """The name as YAML takes it."""
    return name if name.isidentifier() and name.lower() not in ("true", "false", "null") else json.dumps(name, ensure_ascii=False)
