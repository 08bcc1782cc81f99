"""The report page as a component."""

from kfp.dsl import HTML, Output, component

from components import SERVER_IMAGE


@component(base_image=SERVER_IMAGE, install_kfp_package=False)
def report(store: str, run: str, manifest: str, html: Output[HTML]) -> None:
    """Writes the run's report page into the store and shows it in the run's page."""
    from pathlib import Path

    from fl_core.report import write
    from fl_core.stage import stage

    with stage("report", store, run, manifest) as (one, _):
        write(one)
        Path(html.path).write_bytes(one.store.get("report.html"))
