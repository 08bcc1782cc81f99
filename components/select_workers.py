"""FL-Scheduler as a component."""

from kfp.dsl import Artifact, Output, component

from components import SERVER_IMAGE


@component(base_image=SERVER_IMAGE, install_kfp_package=False)
def select_workers(store: str, run: str, manifest: str, round: int, plan: Output[Artifact]) -> str:
    """Decides who takes part in the round, or that the job is finished; gives the digest of the plan."""
    from fl_core import scheduler
    from fl_core.run_folder import plan_key
    from fl_core.stage import stage, write_receipt

    with stage("select", store, run, manifest, round=round) as (one, _):
        made = scheduler.plan(one, round, parts=scheduler.PARTS)
        write_receipt(plan, round=round, finished=made["finished"], clients=made.get("clients", 0), digest=one.digest(plan_key(round)))
        return one.digest(plan_key(round))
