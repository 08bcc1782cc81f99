"""What an organisation's own copy of the job decides for its worker, whatever the run's job says: which data are opened, and what leaves the house."""

from collections.abc import Mapping
from typing import Any

from fl_core.errors import SignatureError
from fl_core.federation import worker_section
from fl_core.job import Job, parse_job
from fl_core.yaml_text import write_yaml

OWN = ("data", "federation", "start_from")
WAY_OUT = "review it and take over the run's job file, or say --trust-any-program."


def house_job(run_job: Job, own: Job) -> Job:
    """The run's job with the organisation's own data, clients and start: a server cannot name what is opened here. The run's job itself where it says
    the same."""
    theirs, ours = (job.model_dump(mode="json") for job in (run_job, own))
    house = {**theirs, **{key: ours[key] for key in OWN}}
    return run_job if house == theirs else parse_job(write_yaml(house), code=run_job.code, what="The job with this house's own data")


def check_agreed(run_job: Job, own: Job, worker: str) -> None:
    """SignatureError unless the run's program, and all from which it follows what leaves the house, are those of the organisation's own copy. Where the
    worker's section there names a `program_sha256`, that one pins the program."""
    pinned = worker_section(own, worker).program_sha256 or own.program_sha256
    if run_job.program_sha256 != pinned:
        raise SignatureError(f"The run's program has sha256 {run_job.program_sha256[:16]}…, the one pinned here {pinned[:16]}…; {WAY_OUT}")
    ours = _what_leaves(own)
    for key, theirs in _what_leaves(run_job).items():
        if theirs != ours[key]:
            raise SignatureError(
                f"{key} is {theirs} in the run's job and {ours[key]} in the one pinned here, and what leaves this house depends on it; {WAY_OUT}"
            )


def _what_leaves(job: Job) -> Mapping[str, Any]:
    sections = {key: getattr(job, key) for key in ("strategy", "evaluate")}
    plain = {key: section.model_dump(mode="json") for key, section in sections.items()}
    return {**plain, "privacy": dict(job.privacy), "data.held_out": job.data.held_out, "federation.parts": job.federation.parts}
