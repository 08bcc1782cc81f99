"""Evaluation as a component."""

from kfp.dsl import Metrics, Output, component

from components import WORKER_IMAGE


@component(base_image=WORKER_IMAGE, install_kfp_package=False)
def evaluate_model(store: str, run: str, manifest: str, round: int, worker: str, metrics: Output[Metrics]) -> None:
    """Measures the state that the round starts from, as far as it is this worker's part; the last state where the job ended earlier."""
    from fl_core.receipt import measured
    from fl_core.stage import stage
    from fl_core.worker import evaluate

    with stage("evaluate", store, run, manifest, round=round, worker=worker) as (one, pool):
        evaluate(one, min(round, one.last_round()), [worker], pool)
        for name, value in measured(one, min(round, one.last_round()), worker).items():
            metrics.log_metric(name, value)
