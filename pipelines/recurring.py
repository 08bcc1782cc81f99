"""A job's schedule at Kubeflow Pipelines: a recurring run, each of whose occurrences is a run of its own that starts from production and publishes."""

import re
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from fl_core.errors import InputError, did_you_mean
from fl_core.job import Job
from fl_core.occurrence import overrides, scheduled, start
from pipelines.kfp_client import called, every
from pipelines.submit import RUN_NAME_MAX, Submitted, Version, check_store, experiment, page_of, upload

# What the scheduler fills in: the time as 14 digits, and the number of the occurrence.
TIME, NUMBER, TIME_FORMAT = "[[ScheduledTime]]", "[[Index]]", "%Y%m%d%H%M%S"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
EVERY_SECONDS_MIN = 60
FIELDS = (("second", 0, 59), ("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
CRON_WORDS = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "weekday": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}


@dataclass(frozen=True)
class When:
    """The times of a schedule: a cron expression of six fields, or an interval."""

    cron: str | None = None
    every_seconds: int | None = None


def create(client: Any, job: Job, when: When, *, store: str, name: str = "", layout: str | None = None, service_account: str = "") -> tuple[str, Version]:
    """Makes the schedule and gives its id; one occurrence at a time, and what was missed is not made up for. InputError where the name is taken."""
    check_store(store)
    scheduled(job, 1)  # what cannot be an occurrence is said now
    name = name or job.name
    if any(one.display_name == name for one in schedules(client, name)):
        raise InputError(f"A schedule '{name}' is there already; give this one another --name, or delete that one first.")
    version = upload(client, job, layout)
    made = client.create_recurring_run(
        experiment(client, job.name), name, cron_expression=when.cron, interval_second=when.every_seconds, max_concurrency=1, no_catchup=True,
        params=parameters(job, store), **version.reference, service_account=service_account or None,
    )  # fmt: skip
    return str(made.recurring_run_id), version


def parameters(job: Job, store: str) -> dict[str, str]:
    """What each occurrence is given: a run's name of its own, which a retry keeps, its start, and the job's own `schedule.set` with its number."""
    return {
        "store": store, "run": f"{job.name[:RUN_NAME_MAX]}-{TIME}", "start_from": start(job), "overrides": "\n".join(overrides(job, NUMBER))
    }  # fmt: skip


def schedules(client: Any, name: str = "") -> Iterator[Any]:
    """The schedules of the client's namespace, all or those of a name."""
    about = {"filter": called(name)} if name else {}
    return every(client.list_recurring_runs, "recurring_runs", namespace=client.get_user_namespace() or None, **about)


def find(client: Any, name: str) -> Any:
    """The schedule of that name or id; InputError where there is none, or more than one of the name."""
    there = list(schedules(client))
    found = [one for one in there if name in (one.display_name, one.recurring_run_id)]
    if not found:
        raise InputError(f"There is no schedule '{name}'; {did_you_mean(name, {one.display_name for one in there})}")
    if len(found) > 1:
        raise InputError(f"There are {len(found)} schedules '{name}'; say which by its id: {', '.join(one.recurring_run_id for one in found)}.")
    return found[0]


def run_now(client: Any, name: str, occurrence: int | None = None) -> Submitted:
    """Starts an occurrence outside of the schedule's times, with what the schedule gives to each. `occurrence` is its number, where the job asks for one."""
    one = find(client, name)
    given = one.runtime_config.parameters if one.runtime_config else {}
    if occurrence is None and any(NUMBER in str(value) for value in given.values()):
        raise InputError(f"The occurrences of '{name}' are numbered by its schedule.set; say which this is with --occurrence N.")
    stamp = f"{datetime.now(UTC):{TIME_FORMAT}}"
    params = {key: str(value).replace(TIME, stamp).replace(NUMBER, str(occurrence)) for key, value in given.items()}
    reference = one.pipeline_version_reference
    with redirect_stdout(StringIO()):
        begun = client.run_pipeline(
            one.experiment_id, params["run"], params=params, pipeline_id=reference.pipeline_id, version_id=reference.pipeline_version_id,
            service_account=one.service_account or None,
        )  # fmt: skip
    return Submitted(begun.run_id, page_of(client, begun.run_id), params["run"], None)


def describe(one: Any) -> dict[str, Any]:
    """A schedule as a person or a program reads it."""
    trigger = one.trigger
    cron = trigger.cron_schedule.cron if trigger and trigger.cron_schedule else None
    seconds = int(trigger.periodic_schedule.interval_second) if trigger and trigger.periodic_schedule else None
    return {"name": one.display_name, "id": one.recurring_run_id, "cron": cron, "every_seconds": seconds, "enabled": one.status == "ENABLED"}


def when(cron: str | None, interval: str | None) -> When:
    """The times that --cron or --every says."""
    if (cron is None) == (interval is None):
        raise InputError('A schedule has either --cron or --every: --cron "0 2 * * *" is two at night, --every 1h is once an hour.')
    return When(cron=six_fields(cron)) if cron is not None else When(every_seconds=seconds_of(str(interval)))


def six_fields(cron: str) -> str:
    """A cron expression of 5 fields (minute hour day month weekday) or 6 (with the second before them) as the 6 that Kubeflow Pipelines takes.

    >>> six_fields("0 2 * * MON-FRI")
    '0 0 2 * * MON-FRI'
    """
    words = cron.split()
    if len(words) not in (5, 6):
        raise InputError(f"--cron '{cron}' has {len(words)} fields; it has 5 (minute hour day month weekday), or 6 with the second before them.")
    words = ["0", *words] if len(words) == 5 else words
    for word, (field, low, high) in zip(words, FIELDS, strict=True):
        _check_field(cron, word, field, low, high)
    return " ".join(words)


def _check_field(cron: str, word: str, field: str, low: int, high: int) -> None:
    """InputError where the field is no list of numbers, ranges or steps within its limits."""
    for part in word.upper().split(","):
        span, slash, step = part.partition("/")
        ends = [] if span in ("*", "?") else [_number(end, field, low) for end in span.split("-", 1)]
        good = all(low <= end <= high for end in ends) and ends == sorted(ends) and (not slash or (step.isdigit() and int(step) > 0))
        if not good:
            raise InputError(f"--cron '{cron}': the {field} is '{word}'; it is *, or numbers from {low} to {high} such as {low}, {low}-{high} or */2.")


def _number(word: str, field: str, low: int) -> int:
    """The number that a word of a field stands for, -1 for none."""
    names = CRON_WORDS.get(field, [])
    return names.index(word) + low if word in names else int(word) if word.isdigit() else -1


def seconds_of(interval: str) -> int:
    """An interval such as 90s, 30m, 1h or 2d in seconds.

    >>> seconds_of("1h")
    3600
    """
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", interval)
    seconds = int(found[1]) * UNITS[found[2]] if found else 0
    if seconds < EVERY_SECONDS_MIN:
        raise InputError(f"--every is '{interval}'; it is a number with s, m, h or d, such as 30m or 1h, and at least {EVERY_SECONDS_MIN} seconds.")
    return seconds


def to_json(made: tuple[str, Version], name: str, at: When) -> Mapping[str, Any]:
    """What `fl schedule create --json` prints."""
    identifier, version = made
    return {"name": name, "id": identifier, "cron": at.cron, "every_seconds": at.every_seconds, "version": version.name, "layout": version.choice.layout}
