"""The report of a run: one HTML file that needs nothing else, for people who want to see how the training went."""

from fl_core import report_figures as figures
from fl_core import report_sections as sections
from fl_core.markup import tag
from fl_core.page import page
from fl_core.report_facts import read_facts
from fl_core.run_folder import Run
from fl_core.store import FileStore

REPORT = "report.html"


def render(run: Run) -> str:
    """The page of a run as HTML; of a run that is not finished it says so and shows what is there."""
    facts, job = read_facts(run), run.job
    return page(
        f"{job.name} · {facts.name}",
        sections.headline(facts, job),
        sections.tiles(facts, job),
        figures.learning(facts, job),
        figures.spread(facts),
        figures.participation(facts),
        figures.time_by_stage(facts),
        sections.failures(facts),
        sections.data_cards(facts),
        sections.reproduce(facts, job),
        tag("footer", "Made from the run's records. This file loads nothing and sends nothing."),
    )


def write(run: Run) -> str:
    """Puts the page into the run's store in place of an older one; gives its path, or its URI where the store is no folder."""
    data = render(run).encode(errors="replace")
    run.store.delete(REPORT)
    run.store.put(REPORT, data)
    return str(run.store.root / REPORT) if isinstance(run.store, FileStore) else f"{run.store.uri.rstrip('/')}/{REPORT}"
