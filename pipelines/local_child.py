"""The process in which kfp.local runs a job's pipelines: `python -m pipelines.local_child FOLDER`, job and run on standard input."""

import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from kfp import local
from kfp.dsl import PipelineTask

from fl_core.job import Job, parse_bundle
from fl_core.runner import open_run
from fl_core.stage import ended_before
from pipelines.cluster import set_image
from pipelines.containers import docker_runner
from pipelines.unrolled import TRAININGS_MAX, Policy, build
from pipelines.warm import warm_stages


def main(folder: str) -> None:
    """Runs pipeline after pipeline until the job is finished; the first failure ends it."""
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job, run = parse_bundle(told["bundle"]), told["run"]
    rounds_a_run = max(1, min(told["rounds_a_run"], TRAININGS_MAX // len(job.workers)))
    if "containers" in told:
        local.init(runner=docker_runner(told["containers"]), pipeline_root=folder)
        _run_pipelines(job, {"run": run, "store": told["store"]}, rounds_a_run, set_image)
        return
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder)
    with tempfile.TemporaryDirectory(prefix="fl-") as scratch, warm_stages(Path(scratch)) as launcher:
        sys.executable = launcher  # by this path the runner starts its tasks
        _run_pipelines(job, {"run": run, "store": told["store"]}, rounds_a_run, _no_policy)


def _run_pipelines(job: Job, at: dict[str, str], rounds_a_run: int, policy: Policy) -> None:
    first = 1
    while first <= job.rounds:
        rounds = min(rounds_a_run, job.rounds - first + 1)
        build(job, first_round=first, rounds=rounds, policy=policy)(**at)
        first += rounds
        if first <= job.rounds and ended_before(open_run(at["run"]), first):
            build(job, first_round=job.rounds + 1, rounds=0, policy=policy)(**at)
            return


def _end_with_parent() -> None:
    """Ends this process and the stage it waits for when whoever started it is gone."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def _no_policy(task: PipelineTask, job: Job, worker: str) -> None:
    """A laptop has no cluster to ask; above all, a stage that refused is not called again."""


if __name__ == "__main__":
    main(sys.argv[1])
