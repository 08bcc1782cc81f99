"""The choice between the layouts of a compiled pipeline: a task for each stage of each round, or one long task per role."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fl_core.job import Job
from fl_core.strategy import check_waits, load_strategy
from pipelines import live, unrolled
from pipelines.unrolled import ROUNDS_MAX, TRAININGS_MAX

LAYOUTS: Mapping[str, Callable[..., Any]] = {"unrolled": unrolled.build, "live": live.build}


class Choice(NamedTuple):
    layout: str
    why: str


def choose(job: Job, wanted: str | None = None) -> Choice:
    """The layout that was asked for, or the one that suits the job's size, and why."""
    count, strategy = len(job.workers), load_strategy(job)
    if wanted == "unrolled":
        check_waits(strategy, job.strategy.name)
    if wanted:
        return Choice(wanted, f"layout {wanted}: it was asked for.")
    if strategy.buffer_size:
        return Choice("live", "layout live: its rounds close by who arrives first, which takes roles that run side by side.")
    if unrolled.fits(job, job.rounds):
        return Choice("unrolled", f"layout unrolled: {job.rounds} rounds with {count} workers fit one task per stage and round, each seen in the UI.")
    return Choice(
        "live",
        f"layout live: {job.rounds} rounds with {count} workers are more than {ROUNDS_MAX} rounds or {TRAININGS_MAX} trainings (rounds x workers), "
        "so that each role is one long task.",
    )


def compile_job(job: Job, path: str | Path, *, layout: str | None = None, store: str = "") -> Choice:
    """Writes the pipeline of a whole job as YAML; gives the layout and why. InputError where it does not fit. `store` is the parameter's default."""
    choice = choose(job, layout)
    unrolled.compile_job(job, path, store=store, lay=LAYOUTS[choice.layout])
    return choice
