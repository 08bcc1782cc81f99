"""FL-Worker as one long component."""

from kfp.dsl import Artifact, Output, component

from components import WORKER_IMAGE


@component(base_image=WORKER_IMAGE, install_kfp_package=False)
def work_federation(
    store: str, run: str, name: str, occurrence: str, worker: str, program_sha256: str, start_seconds: float, receipt: Output[Artifact]
) -> str:  # fmt: skip
    """Takes part in the federation until its end in a supervised process: prepares its data, trains its clients, evaluates; gives the data's fingerprint."""
    from fl_core.role import take_part
    from fl_core.run_folder import card_key
    from fl_core.stage import write_receipt

    one = take_part(store, run, name, occurrence, {"worker": worker, "program_sha256": program_sha256, "start_seconds": start_seconds})
    card = one.record(card_key(worker))
    write_receipt(receipt, run=one.name, worker=worker, fingerprint=card["fingerprint"], test=card["test"])
    return str(card["fingerprint"])
