"""The journal of a run: one line of JSON an event, in the order in which things happened; for people and tests, never read by a stage.

Each writer's lines are chained. The summary, which the server signs, names the last line of each; whoever may write after it (live roles, a pipeline's
tasks) signs the last of the lines that it writes together, so that no line of a finished run stands there that nobody vouches for.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fl_core.codec import FORMAT, sha256
from fl_core.errors import FederationError
from fl_core.run_folder import MANIFEST, Run
from fl_core.signing import check

JOURNAL = "journal.jsonl"
HELD_SECONDS = 1.0


def journal(run: Run, event: str, **facts: Any) -> None:
    """Adds an event: `stage`, `done`, `found` (done before), `died`, `closed`, … Each writer's lines are chained by sha256."""
    trail = run.trail
    line = {
        "format": FORMAT, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "pid": os.getpid(), "event": event, **facts,
        "writer": trail.writer, "previous": trail.last,
    }  # fmt: skip
    _hold(run, line)
    let_out(run)


def _hold(run: Run, line: Mapping[str, Any]) -> None:
    data = json.dumps(line, ensure_ascii=False).encode()
    run.trail.last = sha256(data)
    run.trail.held.append(data + b"\n")


@contextmanager
def holding(run: Run, signer: str = "") -> Iterator[None]:
    """Holds the block's lines back for up to a second, so that a store where each write costs a request is not asked for every line; what is killed
    loses what it held. Whoever waits in the block calls `let_out` now and then. `signer` is the role that signs them."""
    run.trail.hold_seconds, run.trail.signer = HELD_SECONDS, signer
    try:
        yield
    finally:
        run.trail.hold_seconds = 0.0
        let_out(run)


def let_out(run: Run) -> None:
    """Writes the lines that were held back for long enough."""
    trail, now = run.trail, time.monotonic()
    if trail.held and now - trail.written >= trail.hold_seconds:
        if trail.signer:
            _sign_last(run)
        run.store.append(JOURNAL, b"".join(trail.held))
        trail.held.clear()
        trail.written = now


def _sign_last(run: Run) -> None:
    """Signs the last line that is held, and with it, because they are chained, all of this writer's before it."""
    line = json.loads(run.trail.held.pop())
    _hold(run, line if "signature" in line else run.sign_as(run.trail.signer, {**line, "manifest": run.digest(MANIFEST)}))


def is_signed(run: Run, data: bytes) -> bool:
    """Whether a role of this run signed the line."""
    try:
        line = json.loads(data)
        check(line, line["signer"], run.public_key(line["signer"]), "it")
        return bool(line["manifest"] == run.digest(MANIFEST))
    except (FederationError, ValueError, KeyError, TypeError):
        return False


def tips(run: Run) -> dict[str, str]:
    """The sha256 of each writer's last line: what a summary names, so that the journal up to it can be verified."""
    lines = bytes(run.store.get(JOURNAL)) if run.store.exists(JOURNAL) else b""
    return {_links(data)[0]: sha256(data) for data in lines.split(b"\n") if _links(data)[0]}


def find_break(lines: bytes, tips: Mapping[str, str], is_signed: Callable[[bytes], bool] = lambda data: False) -> str | None:
    """Where the chain of a journal is broken, None where it is whole. Where `tips` names last lines of writers, these are there, and what follows them or is
    another writer's ends in a line that `is_signed`. Lines that were cut off are passed over."""
    last: dict[str, tuple[int, bytes]] = {}
    seen = set()
    for number, data in enumerate(lines.split(b"\n"), 1):
        if not _is_whole(data):
            continue
        writer, previous = _links(data)
        if not writer or previous != (sha256(last[writer][1]) if writer in last else ""):
            return f"at or before line {number}"
        last[writer] = number, data
        seen.add(sha256(data))
    gone = [writer for writer, tip in tips.items() if tip not in seen]
    if gone:
        return f"in the last lines of writer {gone[0]}"
    unknown = [number for writer, (number, data) in last.items() if tips and tips.get(writer) != sha256(data) and not is_signed(data)]
    return f"at or before line {unknown[0]}, which was written after the run was signed and which nobody signed" if unknown else None


def _is_whole(data: bytes) -> bool:
    """Whether the line is JSON; one that a dying process cut off is not."""
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _links(data: bytes) -> tuple[str, str]:
    """A line's writer and the digest of the writer's line before; empty for a line that has none."""
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


def read_journal(run: Run, tips: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """All events, or those up to the lines that `tips` names as each writer's last; a line that a dying process cut off is passed over."""
    lines = [line for line in bytes(run.store.get(JOURNAL)).split(b"\n") if _is_whole(line)] if run.store.exists(JOURNAL) else []
    if tips is None:
        return [json.loads(line) for line in lines]
    events, open_writers = [], set(tips)
    for line in lines:
        writer, _ = _links(line)
        if writer in open_writers:
            events.append(json.loads(line))
            open_writers -= {writer} if sha256(line) == tips[writer] else set()
    return events
