"""One occurrence of a schedule: the job that it trains, and whether there is anything new to train on. What follows is an ordinary run, which publishes."""

from fl_core.errors import InputError
from fl_core.job import Job, parse_bundle
from fl_core.registry import PRODUCTION, SCHEME
from fl_core.run_folder import Run, card_key

NUMBER = "{occurrence}"


def scheduled(job: Job, occurrence: int | str) -> Job:
    """The job of one occurrence, counted from 1: it starts from production where there is one, and gets what `schedule.set` says, with the number filled in."""
    if job.publish is None:
        raise InputError("The job has no 'publish' section to decide what becomes of an occurrence's model; add one, such as publish: {metric: accuracy}.")
    return parse_bundle(job.bundle(), [*overrides(job, occurrence), f"start_from='{start(job)}'"])


def overrides(job: Job, occurrence: int | str) -> list[str]:
    """The lines of `schedule.set` with the occurrence's number in place of {occurrence}."""
    return [line.replace(NUMBER, str(occurrence)) for line in job.schedule.set]


def start(job: Job) -> str:
    """Where an occurrence starts: production of the job's own name, afresh while there is none. InputError where the job starts elsewhere."""
    if job.start_from.startswith(SCHEME):
        return job.start_from
    if job.start_from:
        raise InputError("The job has a start_from, but an occurrence starts from production; publish a first model with `fl run`, then leave it empty.")
    return f"{SCHEME}{job.name}/{PRODUCTION}?"


def fingerprints(run: Run) -> dict[str, str]:
    """The fingerprint of each worker's data."""
    return {worker.name: str(run.record(card_key(worker.name))["fingerprint"]) for worker in run.job.workers}


def why_nothing_new(run: Run) -> str | None:
    """Why the run need not train: the job trains on new data only, and the model that it starts from has seen these. None where there is something to do."""
    began = run.facts.get("started_from") if run.job.schedule.only_with_new_data else None
    if not began or began["data"] != fingerprints(run):
        return None
    return f"the data are those that {began['model']} was trained on."
