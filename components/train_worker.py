"""FL-Worker as a component."""

from kfp.dsl import Artifact, Output, component

from components import WORKER_IMAGE


@component(base_image=WORKER_IMAGE, install_kfp_package=False)
def train_worker(store: str, run: str, manifest: str, round: int, worker: str, exchange: int, receipt: Output[Artifact]) -> str:
    """Trains the worker's clients of the round in supervised processes, writes the replies into the store, and gives their digest."""
    from fl_core.receipt import receipt_of_replies
    from fl_core.stage import stage, write_receipt
    from fl_core.worker import take_part

    with stage("train", store, run, manifest, round=round, worker=worker) as (one, pool):
        made = receipt_of_replies(one, take_part(one, round, [worker], pool, exchange))
        write_receipt(receipt, round=round, worker=worker, **made)
        return str(made["digest"])
