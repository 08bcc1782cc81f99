"""FL-Job-Generator as a component."""

from typing import NamedTuple

from kfp.dsl import Artifact, Output, component

from components import WORKER_IMAGE


@component(base_image=WORKER_IMAGE, install_kfp_package=False)
def generate_job(
    store: str, run: str, job: str, overrides: str, start_from: str, seed: str, fixed: str, occurrence: str, receipt: Output[Artifact]
) -> NamedTuple("Begun", [("name", str), ("manifest", str)]):  # type: ignore[valid-type]  # fmt: skip
    """Checks the job, writes it with its first state into the store, and gives the run's name there and the sha256 of what makes it this run; finds a run
    that goes on."""
    from fl_core.pool import open_pool
    from fl_core.stage import ending, generate, write_receipt

    with ending(), open_pool() as pool:
        one = generate(pool, store, run, job, overrides=overrides, start_from=start_from, seed=seed, fixed=fixed, occurrence=occurrence)
        write_receipt(receipt, run=one.name, at=one.store.uri, job=one.job.digest)
        return run or one.name, one.address["manifest"]
