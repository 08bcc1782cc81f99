"""What a comparison runs: every combination of the values that are varied, each with several seeds; and how a combination is called."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from fl_core.codec import sha256
from fl_core.errors import InputError
from fl_core.job import Job, load_job
from fl_core.reference import FOLDERS
from fl_core.yaml_text import read_yaml, write_yaml

RUNS_MAX = 200
FOLDER_LETTERS_MAX = 100
VALUE_LETTERS_MAX = 30
_OPENS, _CLOSES = "[{", "]}"
# What a comparison trains must not become a version of a registry, let alone its production.
_NOT_PUBLISHED = "publish=null"


@dataclass(frozen=True)
class Planned:
    """One run to come: the varied values by key, the job with its seed, the overrides that made it, and the folder that the run lies in."""

    values: Mapping[str, str]
    job: Job
    overrides: tuple[str, ...]
    folder: Path

    @property
    def name(self) -> str:
        """What a person calls the run while it goes on."""
        return f"{label(self.values) or self.job.name} · seed {self.job.seed}"


def plan(path: str | Path, overrides: Sequence[str], vary: Sequence[str], seeds: int, out: str | Path) -> list[Planned]:
    """Every run of the comparison of a job file, all first seeds before the second ones; InputError where any of the jobs is wrong.

    `vary` holds `key.path=value,value`; `seeds` counts from the job's own seed. The runs lie in `out`/<combination>/seed-<seed>.
    """
    varied = read_vary(vary)
    if seeds < 1:
        raise InputError(f"--seeds is {seeds}; a comparison has at least 1.")
    runs = prod(map(len, varied.values())) * seeds
    if runs > RUNS_MAX:
        raise InputError(f"The comparison has {runs} runs (combinations x seeds); it has at most {RUNS_MAX}: vary less, or use fewer seeds.")
    combinations = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
    planned = []
    for number in range(seeds):
        for values in combinations:
            words = (*overrides, *(f"{key}={value}" for key, value in values.items()), _NOT_PUBLISHED)
            seed = load_job(path, words).seed + number
            job = load_job(path, (*words, f"seed={seed}"))
            shown = {key: shown_value(read_yaml(value, key)) for key, value in values.items()}
            folder = Path(out) / (folder_name(values) if values else job.name) / f"seed-{seed}"
            planned.append(Planned(shown, job, (*words, f"seed={seed}"), folder))
    _check_all_differ(planned)
    return planned


def _check_all_differ(planned: Iterable[Planned]) -> None:
    seen: dict[str, Planned] = {}
    for one in planned:
        other = seen.setdefault(one.job.digest, one)
        if other is not one:
            raise InputError(f"'{label(one.values)}' and '{label(other.values)}' are the same job; name each value once.")


def read_vary(words: Iterable[str]) -> dict[str, list[str]]:
    """The values by key of `key.path=value,value` words, as text.

    >>> read_vary(["strategy.name=fed_avg,scaffold", "selection={name: uniform, clients_per_round: 5},everyone"])
    {'strategy.name': ['fed_avg', 'scaffold'], 'selection': ['{name: uniform, clients_per_round: 5}', 'everyone']}
    """
    varied: dict[str, list[str]] = {}
    for word in words:
        key, separator, text = word.partition("=")
        key = key.strip()
        if not separator or not key:
            raise InputError(f"'--vary {word}' is not of the form key.path=value,value.")
        if key == "seed":
            raise InputError("'--vary seed' is what --seeds does: --seeds 3 runs three seeds, counted from the job's own.")
        if key in varied:
            raise InputError(f"--vary names '{key}' twice; list all of its values in one.")
        values = split_values(text, word)
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise InputError(f"'--vary {word}' names the value '{twice}' twice; name it once.")
        varied[key] = values
    return varied


def split_values(text: str, word: str) -> list[str]:
    """The values between commas, those inside of [ ], { } or quotes apart; InputError where a bracket or a quote stays open or a value is missing.

    >>> split_values("[1, 2],{a: 1, b: 2},'x, y',3", "")
    ['[1, 2]', '{a: 1, b: 2}', "'x, y'", '3']
    """
    values, start, open_ones, quote, before = [], 0, list[str](), "", ","
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and before in ",[{:":  # elsewhere YAML takes a quote for a letter, as in don't
            quote = letter
        elif letter in _OPENS:
            open_ones.append(_CLOSES[_OPENS.index(letter)])
        elif open_ones and letter == open_ones[-1]:
            open_ones.pop()
        elif letter == "," and not open_ones:
            values.append(text[start:place])
            start = place + 1
        before = letter if letter != " " else before
    if quote or open_ones:
        raise InputError(f"'--vary {word}' has a {quote or open_ones[-1]} missing; a comma inside of brackets or quotes parts no values.")
    values = [value.strip() for value in [*values, text[start:]]]
    if not all(values):
        raise InputError(f"'--vary {word}' has an empty value; write null for none.")
    return values


def folder_name(values: Mapping[str, str]) -> str:
    """The combination as a folder's name: `key=value,key=value`, with a digest where letters had to be replaced or it is too long.

    >>> folder_name({"strategy.name": "scaffold", "strategy.local_epochs": "5"})
    'strategy.name=scaffold,strategy.local_epochs=5'
    """
    text = ",".join(f"{key}={value}" for key, value in values.items())
    safe = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", text)
    return text if safe == text and len(text) <= FOLDER_LETTERS_MAX else f"{safe[:FOLDER_LETTERS_MAX]}-{sha256(text.encode())[:8]}"


def shown_value(value: Any) -> str:
    """A value of a job as people write it, on one line.

    >>> shown_value(0.1), shown_value("iid"), shown_value(None), shown_value({"name": "uniform", "clients_per_round": 5})
    ('0.1', 'iid', 'null', 'uniform {clients_per_round: 5}')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        named, rest = value.get("name"), {key: one for key, one in value.items() if key != "name"}
        if isinstance(named, str):
            return f"{named} {shown_value(rest)}" if rest else named
        return "{" + ", ".join(f"{key}: {shown_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown_value, value)) + "]"
    return write_yaml(value).split("\n")[0]


def head(key: str, keys: Iterable[str]) -> str:
    """A key's short name among others: `strategy` for `strategy.name`, its last word where no other key ends so.

    >>> [head(key, ("strategy.name", "strategy.local_epochs")) for key in ("strategy.name", "strategy.local_epochs")]
    ['strategy', 'local_epochs']
    """
    short = _short(key)
    return key if sum(_short(other) == short for other in keys) > 1 else short


def _short(key: str) -> str:
    above, _, last = key.rpartition(".")
    return above.rpartition(".")[2] if above and last == "name" else last


def label(values: Mapping[str, str]) -> str:
    """A combination on one line: what is named by its name, other values with their key.

    >>> label({"strategy.name": "scaffold", "strategy.local_epochs": "5"})
    'scaffold · local_epochs 5'
    """
    return " · ".join(_clip(value) if is_name(key) else f"{head(key, values)} {_clip(value)}" for key, value in values.items())


def is_name(key: str) -> bool:
    last = key.rpartition(".")[2]
    return last == "name" or last in FOLDERS


def _clip(value: str) -> str:
    return value if len(value) <= VALUE_LETTERS_MAX else f"{value[: VALUE_LETTERS_MAX - 1]}…"
