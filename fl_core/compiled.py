"""What is fixed when a job is compiled to a pipeline, and the check that the job that is filled in later still fits it."""

import json

from fl_core.codec import Record, sha256
from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.section import ServerSection, WorkerSection
from fl_core.strategy import load_strategy

WAY_OUT = "compile the job again with `fl compile`."


def fixed_in(job: Job) -> Record:
    """What a compiled pipeline's tasks are laid out by: workers, settings and images, most rounds, evaluations, exchanges."""
    sections: list[WorkerSection | ServerSection] = [*job.workers, job.federation.server]
    settings = [*({"resources": one.resources, "kubernetes": one.kubernetes} for one in sections), job.federation.images.model_dump()]
    return {
        "workers": [worker.name for worker in job.workers],
        "settings": sha256(json.dumps(settings, sort_keys=True).encode()),
        "rounds": job.rounds,
        "evaluate": {"on": job.evaluate.on, "every_rounds": job.evaluate.every_rounds},
        "exchanges": [exchange.name for exchange in load_strategy(job).exchanges],
    }


def fixed_for_roles(job: Job) -> Record:
    """What a pipeline of long roles is laid out by: workers, settings and images, and the program that they run."""
    fixed = fixed_in(job)
    return {"workers": fixed["workers"], "settings": fixed["settings"], "program_sha256": job.program_sha256}


def check_fixed(job: Job, fixed: str) -> None:
    """InputError where the job asks for what the compiled pipeline does not have; fewer rounds are fine. Nothing is fixed where `fixed` is empty."""
    if not fixed:
        return
    compiled, found = json.loads(fixed), fixed_in(job)
    if found["workers"] != compiled["workers"]:
        raise InputError(f"federation.workers is {', '.join(found['workers'])}; this pipeline was compiled for {', '.join(compiled['workers'])}: {WAY_OUT}")
    if found["settings"] != compiled["settings"]:
        raise InputError(f"federation has other 'resources', 'kubernetes' or 'images' settings than this pipeline was compiled with: {WAY_OUT}")
    if "program_sha256" in compiled:
        if job.program_sha256 != compiled["program_sha256"]:
            raise InputError(f"program is '{job.program.name}' with its code; the workers of this pipeline run only what it was compiled with: {WAY_OUT}")
        return
    if found["rounds"] > compiled["rounds"]:
        raise InputError(f"rounds is {found['rounds']}; this pipeline was compiled for at most {compiled['rounds']}: lower it, or {WAY_OUT}")
    for key, value in compiled["evaluate"].items():
        if found["evaluate"][key] != value:
            raise InputError(f"evaluate.{key} is {found['evaluate'][key]!r}; this pipeline was compiled for {value!r}: {WAY_OUT}")
    if found["exchanges"] != compiled["exchanges"]:
        raise InputError(
            f"strategy.name is '{job.strategy.name}', whose exchanges are {', '.join(found['exchanges'])}; "
            f"this pipeline was compiled for {', '.join(compiled['exchanges'])}: {WAY_OUT}"
        )
