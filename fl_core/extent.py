"""How far a run came, as all that it kept tells of it: further than its last state where something was removed."""

import re
from dataclasses import dataclass

from fl_core.codec import Record
from fl_core.journal import read_journal
from fl_core.run_folder import Run

_CLOSE = re.compile(r"rounds/(\d{4,9})/close\.json")


@dataclass(frozen=True)
class Extent:
    """The last round that was closed, 0 for none, and whether the run was finished after it."""

    closed: int
    finished: bool


def extent_of(run: Run, summary: Record | None) -> Extent:
    """From the names of the close records, the journal's events and the summary."""
    events = [event for event in read_journal(run) if isinstance(event, dict)]
    closed = [event.get("round") for event in events if event.get("event") == "closed"] + [(summary or {}).get("rounds")]
    closed += [int(match[1]) for key in run.store.list("rounds/") if (match := _CLOSE.fullmatch(key))]
    finished = summary is not None or any(event.get("event") == "finished" for event in events)
    return Extent(max((round for round in closed if isinstance(round, int)), default=0), finished)
