"""The sessions that Gru4Rec's benchmark learns from and is tested on: generated ones, or those of a file as the options of `fl bench` tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.session_plan import WORKERS
from fl_core.data import open_data
from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.types import Examples, FederatedData

GENERATED = {"name": "generated_sessions", "items": 1000, "sessions": 25_000}
# What the benchmark sets itself, and the list of items that organisations share, of which here is one.
RESERVED = ("data.name", "data.path", "data.partition", "data.items_path")


@dataclass(frozen=True)
class Sets:
    """Each worker's part of the training sessions, and the test sessions."""

    quarters: Mapping[str, Examples]
    test: Examples

    @property
    def whole(self) -> Examples:
        return Examples(*(np.concatenate([getattr(quarter, part) for quarter in self.quarters.values()]) for part in ("x", "y")))

    def dealt(self) -> FederatedData:
        return FederatedData(tuple(self.quarters), tuple(map(len, self.quarters.values())), self.quarters.__getitem__, lambda: self.test)

    def alone(self, examples: Examples) -> FederatedData:
        test = self.test  # and not the whole of self, which would be carried to each process
        return FederatedData(("alone",), (len(examples),), lambda client: examples, lambda: test)


def describe_files(sessions: Path | None, test: Path | None, overrides: Sequence[str]) -> dict[str, Any]:
    """The data section of a file, or of a training and a test file, empty where none is named; InputError where an option is not about such files."""
    if not sessions and (test or overrides):
        raise InputError(f"{'--test' if test else '--set'} is about a file of sessions; name it with --sessions.")
    for override in overrides:
        key = override.partition("=")[0].strip()
        if not key.startswith("data.") or key.startswith(RESERVED):
            raise InputError(f"'--set {override}' is no option of the reader of sessions; set data.session, data.item, data.layout or another one.")
    paths = {"path": sessions, "test_path": test}
    return {"name": "sessions", **{key: str(path.absolute()) for key, path in paths.items() if path}} if sessions else {}


def open_sets(data: Mapping[str, Any], overrides: Sequence[str]) -> Sets:
    """The sessions of a data section, with options of its loader (data.KEY=VALUE), dealt to the workers."""
    content = {
        "format": 1, "name": "gru4rec", "program": {"name": "gru4rec", "items": 2}, "strategy": "fed_avg", "rounds": 1, "seed": 1,
        "data": {**data, "partition": {"name": "iid", "clients": WORKERS}}, "federation": {"workers": WORKERS},
    }  # fmt: skip
    job = parse_job(yaml.safe_dump(content), overrides)
    found = open_data(job, job.data)
    test = found.test()
    if test is None:
        raise InputError("The benchmark compares on test sessions, and data.test_share is 0; take a larger one, or name a file with --test.")
    return Sets({client: found.open(client) for client in found.clients}, test)
