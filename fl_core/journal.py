"""The journal of a run: one line of JSON an event, in the order in which things happened; for people and tests, never read by a stage."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fl_core.codec import FORMAT, sha256
from fl_core.run_folder import Run

JOURNAL = "journal.jsonl"
HELD_SECONDS = 1.0


def journal(run: Run, event: str, **facts: Any) -> None:
    """Adds an event: `stage`, `done`, `found` (done before), `died`, `closed`, … Each writer's lines are chained by sha256."""
    trail = run.trail
    line = {
        "format": FORMAT, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "pid": os.getpid(), "event": event, **facts,
        "writer": trail.writer, "previous": trail.last,
    }  # fmt: skip
    data = json.dumps(line, ensure_ascii=False).encode()
    trail.last = sha256(data)
    trail.held.append(data + b"\n")
    let_out(run)


@contextmanager
def holding(run: Run) -> Iterator[None]:
    """Holds the block's lines back for up to a second, so that a store where each write costs a request is not asked for every line; what is killed
    loses what it held. Whoever waits in the block calls `let_out` now and then."""
    run.trail.hold_seconds = HELD_SECONDS
    try:
        yield
    finally:
        run.trail.hold_seconds = 0.0
        let_out(run)


def let_out(run: Run) -> None:
    """Writes the lines that were held back for long enough."""
    trail, now = run.trail, time.monotonic()
    if trail.held and now - trail.written >= trail.hold_seconds:
        run.store.append(JOURNAL, b"".join(trail.held))
        trail.held.clear()
        trail.written = now


def tips(run: Run) -> dict[str, str]:
    """The sha256 of each writer's last line: what a summary names, so that the journal up to it can be verified."""
    lines = bytes(run.store.get(JOURNAL)) if run.store.exists(JOURNAL) else b""
    return {_links(data)[0]: sha256(data) for data in lines.splitlines() if _links(data)[0]}


def find_break(lines: bytes, tips: Mapping[str, str]) -> str | None:
    """Where the chain of a journal is broken, None where it is whole and holds the lines that `tips` names; lines that were cut off are passed over."""
    last: dict[str, str] = {}
    seen = set()
    for number, data in enumerate(lines.splitlines(), 1):
        writer, previous = _links(data)
        if not writer:
            continue
        if previous != last.get(writer, ""):
            return f"at or before line {number}"
        last[writer] = sha256(data)
        seen.add(last[writer])
    gone = [writer for writer, tip in tips.items() if tip not in seen]
    return f"in the last lines of writer {gone[0]}" if gone else None


def _links(data: bytes) -> tuple[str, str]:
    """A line's writer and the digest of the writer's line before; empty for a line that was cut off."""
    try:
        line = json.loads(data)
        return str(line["writer"]), str(line["previous"])
    except (ValueError, KeyError, TypeError):
        return "", ""


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
