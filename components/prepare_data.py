"""A worker's data preparation as a component."""

from kfp.dsl import Artifact, Output, component

from components import WORKER_IMAGE


@component(base_image=WORKER_IMAGE, install_kfp_package=False)
def prepare_data(store: str, run: str, manifest: str, worker: str, card: Output[Artifact]) -> str:
    """Makes the worker's data card (schema, counts and a fingerprint, never rows) and gives the fingerprint."""
    from fl_core.stage import stage, write_receipt
    from fl_core.worker import prepare

    with stage("prepare", store, run, manifest, worker=worker) as (one, pool):
        made = prepare(one, worker, pool)
        write_receipt(card, **{key: made[key] for key in made if key not in ("format", "clients", "sizes")})
        return str(made["fingerprint"])
