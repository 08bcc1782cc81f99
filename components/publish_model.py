"""Publication of the trained model as a component."""

from kfp.dsl import Metrics, Model, Output, component

from components import SERVER_IMAGE


@component(base_image=SERVER_IMAGE, install_kfp_package=False)
def publish_model(store: str, run: str, manifest: str, model: Output[Model], metrics: Output[Metrics]) -> str:
    """Finishes the run: writes model, metrics and summary into the store, publishes the model where the job says so, and gives its digest."""
    from fl_core.runner import finish
    from fl_core.stage import runner_facts, stage, write_receipt

    with stage("publish", store, run, manifest) as (one, _):
        summary = finish(one, runner_facts(one))
        published = {key: str(value or "") for key, value in summary.get("published", {}).items()}
        write_receipt(model, **{key: summary[key] for key in ("name", "run", "rounds", "digest", "examples", "seconds")}, **published)
        for name, value in summary["metrics"].items():
            metrics.log_metric(name, value)
        return str(summary["digest"])
