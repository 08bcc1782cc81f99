"""The process in which kfp.local runs a job's pipelines: `python -m pipelines.local_child FOLDER`, job and run on standard input."""

import json
import sys

from kfp import local
from kfp.dsl import PipelineTask

from fl_core.job import Job, parse_bundle
from fl_core.runner import open_run
from fl_core.stage import ended_before
from pipelines.unrolled import ROUNDS_MAX, TRAININGS_MAX, build


def main(folder: str) -> None:
    """Runs pipeline after pipeline until the job is finished; the first failure ends it."""
    told = json.loads(sys.stdin.read())
    job, run = parse_bundle(told["bundle"]), told["run"]
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder)
    rounds_a_run = max(1, min(ROUNDS_MAX, TRAININGS_MAX // len(job.workers)))
    first = 1
    while first <= job.rounds:
        rounds = min(rounds_a_run, job.rounds - first + 1)
        build(job, first_round=first, rounds=rounds, policy=_no_policy)(run=run)
        first += rounds
        if first <= job.rounds and ended_before(open_run(run), first):
            build(job, first_round=job.rounds + 1, rounds=0, policy=_no_policy)(run=run)
            return


def _no_policy(task: PipelineTask, job: Job, worker: str) -> None:
    """A laptop has no cluster to ask; above all, a stage that refused is not called again."""


if __name__ == "__main__":
    main(sys.argv[1])
