"""What an organisation's own copy of the job decides for its worker, whatever the run's job says: which data are opened, and what is done with them."""

from fl_core.codec import Record
from fl_core.errors import SignatureError
from fl_core.federation import worker_section
from fl_core.job import Job, parse_job
from fl_core.yaml_text import write_yaml

OWN = ("data", "federation", "start_from")
LEADERS = ("name", "rounds", "seed", "stop_when", "quorum", "retries", "deadline_seconds", "keep_updates", "keep_states", "publish", "schedule")
WAY_OUT = "review it and take over the run's job file, or say --trust-any-program."


def house_job(run_job: Job, own: Job) -> Job:
    """The run's job with the organisation's own data, clients and start: a server cannot name what is opened here. The run's job itself where it says
    the same."""
    theirs, ours = (job.model_dump(mode="json") for job in (run_job, own))
    house = {**theirs, **{key: ours[key] for key in OWN}}
    return run_job if house == theirs else parse_job(write_yaml(house), code=run_job.code, what="The job with this house's own data")


def check_agreed(run_job: Job, own: Job, worker: str) -> None:
    """SignatureError unless the run's job says what the organisation's own copy says, but for what is the house's own and what the leader decides. Where the
    worker's section there names a `program_sha256`, that one pins the program."""
    pinned = worker_section(own, worker).program_sha256 or own.program_sha256
    if run_job.program_sha256 != pinned:
        raise SignatureError(f"The run's program has sha256 {run_job.program_sha256[:16]}…, the one pinned here {pinned[:16]}…; {WAY_OUT}")
    theirs, ours = _agreed(run_job), _agreed(own)
    for key, value in theirs.items():
        if value != ours[key] and key != "program":
            raise SignatureError(f"{key} is {value} in the run's job and {ours[key]} in the one pinned here, by which this house goes; {WAY_OUT}")


def _agreed(job: Job) -> Record:
    plain = job.model_dump(mode="json")
    held_out_and_parts = {"data.held_out": job.data.held_out, "federation.parts": job.federation.parts}
    return {key: value for key, value in plain.items() if key not in (*OWN, *LEADERS)} | held_out_and_parts
