"""All cluster policy: what each task asks of Kubernetes. Runners on a laptop ignore it."""

from kfp import dsl

from fl_core.job import Job


def apply_policy(task: dsl.PipelineTask, job: Job, worker: str) -> None:
    pass
