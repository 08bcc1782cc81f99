"""A job's schedule: occurrence after occurrence, each trained from production and published if its gate lets it pass."""

from collections.abc import Callable
from datetime import UTC, datetime

from fl_core.codec import Record
from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.occurrence import scheduled
from fl_core.pool import Pool
from fl_core.runner import OnRound, Result, run

OCCURRENCES_MAX = 1000
RUN_NAME_MAX = 40

OnOccurrence = Callable[[Record], None]


def simulate(
    job: Job,
    *,
    occurrences: int,
    pool: Pool,
    store: str = "file://store",
    first: int = 1,
    on_round: OnRound | None = None,
    on_occurrence: OnOccurrence | None = None,
) -> list[Record]:
    """Runs so many occurrences of the job here, one after another, against the store's registry; tells what each led to.

    A gate that refuses is an ordinary outcome. What else stops an occurrence (bad input, a quorum that is not reached) is raised, and ends the simulation.
    """
    if not 1 <= occurrences <= OCCURRENCES_MAX:
        raise InputError(f"occurrences is {occurrences}; it is a number from 1 to {OCCURRENCES_MAX}.")
    begun, outcomes = f"{datetime.now(UTC):%Y%m%d-%H%M%S}", []
    for number in range(first, first + occurrences):
        one = scheduled(job, number)
        result = run(one, store=store, name=f"{one.name[:RUN_NAME_MAX]}-{begun}-{number}", on_round=on_round, pool=pool)
        outcomes.append(outcome(number, result))
        if on_occurrence:
            on_occurrence(outcomes[-1])
    return outcomes


def outcome(number: int, result: Result) -> Record:
    """What an occurrence led to: version and decision, its metrics, and the run with its report."""
    published = result.summary["published"]
    facts = {key: published[key] for key in ("version", "decision", "why")}
    return {
        "occurrence": number, **facts, "metrics": result.metrics, "rounds": result.summary["rounds"], "digest": result.digest,
        "parent": result.run.facts.get("started_from", {}).get("model"), "run": result.run.name, "report": result.report,
    }  # fmt: skip
