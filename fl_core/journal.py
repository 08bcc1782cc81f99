"""The journal of a run: one line of JSON an event, in the order in which things happened; for people and tests, never read by a stage."""

import json
import os
from datetime import UTC, datetime
from typing import Any

from fl_core.codec import FORMAT
from fl_core.run_folder import Run

JOURNAL = "journal.jsonl"


def journal(run: Run, event: str, **facts: Any) -> None:
    """Adds an event: `started`, `done`, `found` (done before), `died`, `left_out`, …"""
    line = {"format": FORMAT, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "pid": os.getpid(), "event": event, **facts}
    run.store.append(JOURNAL, (json.dumps(line, ensure_ascii=False) + "\n").encode())


def read_journal(run: Run) -> list[dict[str, Any]]:
    """All events; a line that a dying process cut off is passed over."""
    events = []
    for line in bytes(run.store.get(JOURNAL)).splitlines() if run.store.exists(JOURNAL) else []:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events
