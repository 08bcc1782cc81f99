"""FL-Server as a component."""

from typing import List  # noqa: UP035  KFP reads the port's type from this name

from kfp.dsl import Model, Output, component

from components import SERVER_IMAGE


@component(base_image=SERVER_IMAGE, install_kfp_package=False)
def aggregate_updates(store: str, run: str, manifest: str, round: int, replies: List[str], exchange: int, state: Output[Model]) -> str:  # noqa: UP006
    """Closes the round, merges the accepted replies into the next state, and gives the state's digest."""
    from fl_core.receipt import receipt_of_state
    from fl_core.server import aggregate
    from fl_core.stage import stage, write_receipt

    with stage("close", store, run, manifest, round=round) as (one, _):
        aggregate(one, round, exchange)
        made = receipt_of_state(one, round)
        write_receipt(state, round=round, replies=replies, **made)
        return str(made["digest"])
