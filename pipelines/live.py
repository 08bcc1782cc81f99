"""The layout `live`: one long task per role, all started together. They meet in the store, as they do outside of Kubeflow; no task waits for another's end."""

import json
from typing import Any

from kfp import dsl

from components.serve_federation import serve_federation
from components.work_federation import work_federation
from fl_core.compiled import fixed_for_roles
from fl_core.job import Job
from pipelines.cluster import apply_policy
from pipelines.unrolled import Policy, one_line, pipeline_name

START_SECONDS = 1800.0


def build(job: Job, *, store: str = "", policy: Policy = apply_policy, start_seconds: float = START_SECONDS) -> Any:
    """The pipeline of the whole job: a task for the server, and one for each worker. Whoever is missing after `start_seconds` is named, and the run ends."""
    the_job, bundle, fixed = job, one_line(job), json.dumps(fixed_for_roles(job), sort_keys=True)

    def named(task: dsl.PipelineTask, name: str, worker: str = "") -> None:
        task.set_display_name(name).set_caching_options(False)
        policy(task, the_job, worker)

    @dsl.pipeline(name=pipeline_name(job.name), description=describe(job), display_name=job.name)  # type: ignore[untyped-decorator]
    def federation(store: str = store, run: str = "", job: str = bundle, overrides: str = "", start_from: str = "", seed: str = "") -> None:
        where: dict[str, Any] = {
            "store": store, "run": run, "name": the_job.name, "occurrence": dsl.PIPELINE_JOB_ID_PLACEHOLDER, "start_seconds": start_seconds
        }  # fmt: skip
        named(serve_federation(**where, job=job, overrides=overrides, start_from=start_from, seed=seed, fixed=fixed), "Serve the federation")
        for worker in the_job.workers:
            named(work_federation(**where, worker=worker.name, program_sha256=the_job.program_sha256), f"Work at {worker.name}", worker.name)

    return federation


def describe(job: Job) -> str:
    """What the pipeline does, and what of it is fixed when it is compiled."""
    names = ", ".join(worker.name for worker in job.workers)
    return (
        f"Federated training of '{job.name}' by long roles that meet in the store. Fixed when it was compiled: the workers ({names}) with their cluster "
        "settings, and the program with its code; other overrides, one key.path=value a line, may change anything else. "
        "run names the run in the store, and a run that stopped is gone on with under its name; empty makes a new one."
    )
