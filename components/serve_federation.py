"""FL-Server, with scheduler and generator, as one long component."""

from kfp.dsl import HTML, Metrics, Model, Output, component

from components import SERVER_IMAGE


@component(base_image=SERVER_IMAGE, install_kfp_package=False)
def serve_federation(
    store: str, run: str, name: str, occurrence: str, job: str, overrides: str, start_from: str, seed: str, fixed: str, start_seconds: float,
    model: Output[Model], metrics: Output[Metrics], html: Output[HTML],
) -> str:  # fmt: skip
    """Leads the federation to its end in a supervised process: waits for the workers, plans and closes rounds, finishes; gives the model's digest."""
    from pathlib import Path

    from fl_core.role import lead
    from fl_core.stage import write_receipt

    orders = {"bundle": job, "overrides": overrides, "start_from": start_from, "seed": seed, "fixed": fixed, "start_seconds": start_seconds}
    one = lead(store, run, name, occurrence, orders)
    summary = one.record("summary.json")
    write_receipt(model, **{key: summary[key] for key in ("name", "run", "rounds", "digest", "examples", "seconds")})
    for metric, value in summary["metrics"].items():
        metrics.log_metric(metric, value)
    Path(html.path).write_bytes(one.store.get("report.html"))
    return str(summary["digest"])
