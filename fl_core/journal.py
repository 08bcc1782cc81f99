"""The journal of a run: one line of JSON an event, in the order in which things happened; for people and tests, never read by a stage."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fl_core.codec import FORMAT, sha256
from fl_core.run_folder import Run

JOURNAL = "journal.jsonl"


def journal(run: Run, event: str, **facts: Any) -> None:
    """Adds an event: `stage`, `done`, `found` (done before), `died`, `closed`, … Each writer's lines are chained by sha256."""
    trail = run.trail
    line = {
        "format": FORMAT, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "pid": os.getpid(), "event": event, **facts,
        "writer": trail[0], "previous": trail[1],
    }  # fmt: skip
    data = json.dumps(line, ensure_ascii=False).encode()
    trail[1] = sha256(data)
    run.store.append(JOURNAL, data + b"\n")


def broken_line(lines: bytes) -> int | None:
    """The number of the first line (from 1) that does not follow from its writer's line before, None where all do."""
    last: dict[str, str] = {}
    for number, data in enumerate(lines.splitlines(), 1):
        try:
            line = json.loads(data)
            writer, previous = line["writer"], line["previous"]
        except (ValueError, KeyError, TypeError):
            return number
        if previous != last.get(writer, ""):
            return number
        last[writer] = sha256(data)
    return None


@contextmanager
def staged(run: Run, stage: str, round: int, *, event: str = "stage", **facts: Any) -> Iterator[None]:
    """Notes a stage with its seconds once it is done; a stage that fails is not noted."""
    start = time.perf_counter()
    yield
    journal(run, event, stage=stage, round=round, seconds=round_seconds(time.perf_counter() - start), **facts)


def round_seconds(seconds: float) -> float:
    return float(f"{seconds:.6f}")


def elapsed_seconds(run: Run) -> float:
    """The seconds since the journal's first line."""
    return (datetime.now(UTC) - datetime.fromisoformat(read_journal(run)[0]["time"])).total_seconds()


def read_journal(run: Run) -> list[dict[str, Any]]:
    """All events; a line that a dying process cut off is passed over."""
    events = []
    for line in bytes(run.store.get(JOURNAL)).splitlines() if run.store.exists(JOURNAL) else []:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events
