"""Brings a job to Kubeflow Pipelines: a pipeline with a version per job, an experiment, a run; and follows the run."""

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import kfp_server_api

from fl_core.codec import sha256
from fl_core.errors import FederationError, InputError
from fl_core.job import Job
from fl_core.run_folder import MANIFEST, Run, close_key, metrics_key
from fl_core.runner import open_run
from fl_core.section import FILE_NAME, NAME_RULE
from fl_core.stage import place_of
from fl_core.summary import examples_of
from pipelines.calls import HostError
from pipelines.kfp_client import called, every
from pipelines.layouts import Choice, compile_job
from pipelines.unrolled import pipeline_name

RUN_NAME_MAX = 40
DIGEST_LETTERS, TEXT_LETTERS = 12, 8
POLL_SECONDS = 5.0
WAIT_SECONDS_MAX = 604_800.0
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
CONFLICT = 409
SHOWN_METRICS = 3


@dataclass(frozen=True)
class Version:
    """A version of a pipeline at the server; `new` where this call uploaded it."""

    pipeline_id: str
    version_id: str
    name: str
    new: bool
    choice: Choice

    @property
    def reference(self) -> Mapping[str, str]:
        """What a run or a schedule of it names."""
        return {"pipeline_id": self.pipeline_id, "version_id": self.version_id}


@dataclass(frozen=True)
class Submitted:
    """A run at the server: its id, its page, and its name in the store."""

    run_id: str
    url: str
    run: str
    version: Version | None  # None for an occurrence of a schedule, which has its own


def check_store(store: str) -> None:
    """InputError where a cluster's pods cannot meet in the store."""
    if not store.startswith("s3://"):
        raise InputError(f"--store is '{store}'; pods meet in a store that all of them reach, such as s3://bucket/prefix.")


def submit(client: Any, job: Job, *, store: str, run: str = "", layout: str | None = None, service_account: str = "") -> Submitted:
    """Starts a run of the job's own version of its pipeline. `run` is its name in the store; one that is there is gone on with."""
    check_store(store)
    run = run or f"{job.name[:RUN_NAME_MAX]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if not FILE_NAME.fullmatch(run):
        raise InputError(f"--run is '{run}'; {NAME_RULE}")
    version = upload(client, job, layout)
    with redirect_stdout(StringIO()):  # kfp prints its links, which would spoil --json
        begun = client.run_pipeline(
            experiment(client, job.name), run, params={"store": store, "run": run}, **version.reference, service_account=service_account or None
        )  # fmt: skip
    return Submitted(begun.run_id, page_of(client, begun.run_id), run, version)


def page_of(client: Any, run_id: str) -> str:
    """Where the UI shows a run."""
    return f"{client._get_url_prefix()}/#/runs/details/{run_id}"


def experiment(client: Any, name: str) -> str:
    """The id of the experiment of that name, made where there is none."""
    with redirect_stdout(StringIO()):
        return str(client.create_experiment(name, namespace=client.get_user_namespace() or None).experiment_id)


def upload(client: Any, job: Job, layout: str | None = None) -> Version:
    """The job's version of the pipeline of its name, uploaded where it is not there yet.

    A version's name is the job's digest and that of the compiled text, cut: another layout, image or release is another version.
    """
    with tempfile.TemporaryDirectory(prefix="fl-") as folder:
        path = Path(folder) / "pipeline.yaml"
        choice = compile_job(job, path, layout=layout)
        name = f"{job.digest[:DIGEST_LETTERS]}-{sha256(path.read_bytes())[:TEXT_LETTERS]}"
        pipeline = _pipeline(client, pipeline_name(job.name), job)
        found = _find_version(client, pipeline, name)
        if found:
            return Version(pipeline, found, name, False, choice)
        try:
            with redirect_stdout(StringIO()):
                made = client.upload_pipeline_version(str(path), name, pipeline_id=pipeline, description=choice.why)
        except kfp_server_api.ApiException as error:
            found = _find_version(client, pipeline, name) if error.status == CONFLICT else ""
            if not found:
                raise
            return Version(pipeline, found, name, False, choice)
    return Version(pipeline, made.pipeline_version_id, name, True, choice)


def _pipeline(client: Any, name: str, job: Job) -> str:
    """The id of the pipeline of that name, made without a version where there is none; somebody else may make it meanwhile."""
    found = _find_pipeline(client, name)
    if found:
        return found
    namespace = client.get_user_namespace() or None
    wanted = kfp_server_api.V2beta1Pipeline(name=name, display_name=name, description=f"Federated training of '{job.name}'.", namespace=namespace)
    try:
        return str(client.pipelines.pipeline_service_create_pipeline(wanted).pipeline_id)
    except kfp_server_api.ApiException as error:
        found = _find_pipeline(client, name) if error.status == CONFLICT else ""
        if not found:
            raise
        return found


def _find_pipeline(client: Any, name: str) -> str:
    found = every(client.list_pipelines, "pipelines", filter=called(name), namespace=client.get_user_namespace() or None)
    return next((str(one.pipeline_id) for one in found if one.display_name == name), "")


def _find_version(client: Any, pipeline: str, name: str) -> str:
    found = every(client.list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline, filter=called(name))
    return next((str(one.pipeline_version_id) for one in found if one.display_name == name), "")


def follow(
    client: Any,
    run_id: str,
    on_look: Callable[[Any], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    poll_seconds: float = POLL_SECONDS,
    wait_seconds: float = WAIT_SECONDS_MAX,
) -> Any:
    """Looks at the run again and again until it has ended; gives it as it then is. HostError where it goes on for longer than `wait_seconds`."""
    waited = 0.0
    while True:
        run = client.get_run(run_id)
        on_look(run)
        if run.state in ENDED:
            return run
        if waited >= wait_seconds:
            raise HostError(f"The run goes on after {wait_seconds:.0f} seconds of waiting; look at it at {page_of(client, run_id)}.")
        sleep(poll_seconds)
        waited += poll_seconds


def why_ended(run: Any) -> str:
    """What became of a run that has not succeeded: its state, the tasks that failed, and what the server says."""
    tasks = (run.run_details and run.run_details.task_details) or []
    failed = sorted({task.display_name for task in tasks if task.state == "FAILED" and task.display_name and not task.child_tasks})
    said = run.error.message if run.error and run.error.message else ""
    return f"The run is {run.state.lower()}{', failed: ' + ', '.join(failed) if failed else ''}{'; ' + said if said else ''}"


def tasks_done(run: Any) -> tuple[int, int]:
    """How many of a run's tasks that have begun are done, and how many have begun."""
    tasks = [task for task in (run.run_details and run.run_details.task_details) or [] if task.display_name]
    return sum(task.state == "SUCCEEDED" for task in tasks), len(tasks)


class Rounds:
    """Tells of each closed round of a run once, reading the store and writing nothing. It has state because a round is told once."""

    def __init__(self, store: str, run: str, tell: Callable[[str], None]) -> None:
        self._where, self._tell = (store, run), tell
        self._told, self._gone = 0, False

    def look(self) -> None:
        """Tells what is new. A store that cannot be reached from here is named once, and not asked again."""
        if self._gone:
            return
        try:
            place = place_of(*self._where)
            if place.exists(MANIFEST):
                self._tell_rounds(open_run(place.uri))
        except FederationError as error:
            self._gone = True
            self._tell(f"Rounds and metrics are not shown, because the store cannot be read from here: {error}")

    def _tell_rounds(self, one: Run) -> None:
        for round in range(self._told + 1, one.last_round() + 1):
            closed, measured = one.find(close_key(round)), one.find(metrics_key(round + 1))
            comes = measured is None and not one.store.exists(close_key(round + 1)) and not one.store.exists("summary.json")
            if closed is None or comes:
                return
            self._told = round
            metrics = measured["metrics"] if measured else {}
            figures = "".join(f" {name} {metrics[name]:.4g}" for name in sorted(metrics)[:SHOWN_METRICS])
            self._tell(f"{one.job.name} {round}/{one.job.rounds}{figures} {examples_of(closed):,} examples")
