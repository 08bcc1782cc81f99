"""What a comparison knows of a run, read from the run's records: its rows, what it cost, how it ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Literal

import numpy as np

from fl_core.codec import Record, sha256
from fl_core.curves import curves_of
from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.journal import read_journal
from fl_core.program import Direction
from fl_core.report_facts import stage_seconds
from fl_core.run_folder import Run
from fl_core.summary import rows

Status = Literal["finished", "not finished", "failed"]
Axis = Literal["rounds", "examples", "bytes", "seconds", "simulated seconds"]
METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Outcome:
    """What came of one run. `table` is what metrics.jsonl holds, `seconds_by_round` the time of each round's stages; `sent` and `received` are bytes of one
    client in one round, None where nobody can tell."""

    place: str
    job: Job
    status: Status
    why: str = ""
    table: Sequence[Record] = ()
    better: Mapping[str, Direction] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_by_round: Mapping[int, float] = field(default_factory=dict)
    sent: int | None = None
    received: int | None = None
    digest: str = ""

    @cached_property
    def curves(self) -> dict[str, dict[float, float]]:
        """Each metric over rounds."""
        return curves_of(self.table, self.better)

    @property
    def rounds(self) -> int:
        """How many rounds are done."""
        return max(len(self.table) - 1, 0)


def read_outcome(run: Run, why: str = "") -> Outcome:
    """What came of a run; `why` is the sentence that it failed with, where it did. InputError or SignatureError where the records are not as written."""
    summary = run.find("summary.json")
    seconds = _seconds_by_round(run)
    sent, received = client_bytes(run)
    resumed = summary is not None and summary.get("resumed_from") is not None
    return Outcome(
        place=run.store.uri.removeprefix("file://"), job=run.job, status="finished" if summary else "failed" if why else "not finished", why=why,
        table=_table(run, summary), better=run.facts.get("better", {}) if run.last_round() else {},
        # A summary counts from the resume on; the journal has all stages.
        seconds=sum(seconds.values()) if summary is None or resumed else summary["seconds"], seconds_by_round=seconds,
        sent=sent, received=received, digest=summary["digest"] if summary else "",
    )  # fmt: skip


def _table(run: Run, summary: Record | None) -> list[Record]:
    """The rows, of a finished run as its summary names them by sha256, which spares reading every record."""
    if summary is None:
        return rows(run)
    data = run.read(METRICS)
    if sha256(data) != summary["files"][METRICS]:
        raise InputError(f"'{METRICS}' in {run.store.uri} is not the one that its summary names; it was changed.")
    return [json.loads(line) for line in bytes(data).splitlines()]


def _seconds_by_round(run: Run) -> dict[int, float]:
    """The seconds of all stages of each round, the evaluation before the first counted to round 0."""
    by_round: dict[int, float] = {}
    for of_stage in stage_seconds(read_journal(run)).values():
        for round, seconds in of_stage.items():
            by_round[round] = by_round.get(round, 0.0) + seconds
    return by_round


def client_bytes(run: Run) -> tuple[int | None, int | None]:
    """The bytes that one client sends and receives in one round, as if each were a device of its own.

    It sends the numbers of its update in all exchanges, a compressing strategy's as codes; it receives the state: weights and the server's memory.
    Headers and signatures are not counted. (None, None) where the strategy was a Python object, or no state is there.
    """
    if "strategy" in run.manifest["given"] or not run.last_round():
        return None, None
    state = run.state(run.last_round())
    sent = sum(np.asarray(value).nbytes for exchange in run.strategy.exchanges for value in exchange.expects(state).values())
    return sent, sum(value.nbytes for part in (state.weights, state.memory) for value in part.values())


def walked(outcome: Outcome, axis: Axis) -> list[float]:
    """How far the run is along an axis after each of its rows; empty where nobody can tell."""
    if axis == "rounds":
        return [float(row["round"]) for row in outcome.table]
    if axis == "seconds":
        steps = [outcome.seconds_by_round.get(row["round"], 0.0) for row in outcome.table]
    elif axis == "examples":
        steps = [float(row.get("examples", 0)) for row in outcome.table]
    elif axis == "simulated seconds":
        if not is_simulated(outcome):
            return []
        steps = [row.get("simulated_seconds", 0.0) for row in outcome.table]
    elif outcome.sent is None:
        return []
    else:
        steps = [float(row.get("clients", 0) * outcome.sent) for row in outcome.table]
    return list(accumulate(steps))


def examples(outcome: Outcome) -> float:
    """How many examples the run trained on, each as often as it was seen."""
    return float(sum(row.get("examples", 0) for row in outcome.table))


def is_simulated(outcome: Outcome) -> bool:
    """Whether the run's rounds have a time on simulated devices."""
    return any("simulated_seconds" in row for row in outcome.table)


def simulated_seconds(outcome: Outcome) -> float | None:
    """What all rounds took on simulated devices, None where there are none."""
    return sum(row.get("simulated_seconds", 0.0) for row in outcome.table) if is_simulated(outcome) else None


def bytes_sent(outcome: Outcome) -> float | None:
    """What all clients sent whose replies were accepted."""
    return None if outcome.sent is None else float(sum(row.get("clients", 0) for row in outcome.table) * outcome.sent)


def bytes_received(outcome: Outcome) -> float | None:
    """What all clients received that were drawn, the left-out ones too."""
    return None if outcome.received is None else float(sum(row.get("clients", 0) + row.get("left_out", 0) for row in outcome.table) * outcome.received)
