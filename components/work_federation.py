"""FL-Worker as one long component."""

from kfp.dsl import Artifact, Output, component

from components import WORKER_IMAGE


@component(base_image=WORKER_IMAGE, install_kfp_package=False)
def work_federation(
    store: str, run: str, name: str, occurrence: str, worker: str, program_sha256: str, start_seconds: float, receipt: Output[Artifact]
) -> int:  # fmt: skip
    """Takes part in the federation until its end in a supervised process: prepares its data, trains its clients, evaluates; gives the number of rounds."""
    from fl_core.role import take_part
    from fl_core.stage import write_receipt

    one = take_part(store, run, name, occurrence, {"worker": worker, "program_sha256": program_sha256, "start_seconds": start_seconds})
    rounds = one.last_round() - 1
    write_receipt(receipt, run=one.name, worker=worker, rounds=rounds)
    return rounds
