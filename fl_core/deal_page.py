"""A page that shows who holds what: the clients of a job by their labels."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from fl_core.charts import HeatMap, evenly, heat_map, number
from fl_core.errors import InputError
from fl_core.federation import Household, open_household
from fl_core.job import Job
from fl_core.markup import table
from fl_core.page import page, section

CLIENTS_SHOWN_MAX = 100
COLUMNS_MAX = 64
BINS = 20
LEVELS = 5


def write_deal(job: Job, path: Path) -> dict[str, int]:
    """Writes the page; gives the numbers of clients, of clients shown and of examples. InputError where the file exists."""
    text, counts = render_deal(job)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"'{path}' exists already; name another file.") from error
    except OSError as error:
        raise InputError(f"The page cannot be written to '{path}': {error.strerror}.") from error
    return counts


def render_deal(job: Job) -> tuple[str, dict[str, int]]:
    """The page as HTML: a row a client (at most CLIENTS_SHOWN_MAX, evenly chosen), a column a label or, of many or measured labels, a range of them; and
    in words how each client sees its examples, where the partition says so."""
    homes = [(worker.name, open_household(job, worker.name)) for worker in job.workers]
    everyone = [(home, i) for _, home in homes for i in range(len(home.clients))]
    sizes = np.array([home.sizes[i] for home, i in everyone], np.int64)
    if not len(everyone):
        raise InputError("No worker of the federation holds a client; give at least one of them data.")
    shown = evenly(len(everyone), CLIENTS_SHOWN_MAX)
    names, labels = zip(*(_labels(*everyone[at]) for at in shown), strict=True)
    columns, counts = count_labels(labels)
    heat = _heat(names, columns, counts)
    some = "" if len(shown) == len(everyone) else f" {number(len(shown))} of them are shown, evenly chosen."
    note = (
        f"{number(len(everyone))} clients hold {number(int(sizes.sum()))} examples, from {number(int(sizes.min()))} to {number(int(sizes.max()))} each, "
        f"{number(float(np.median(sizes)))} in the middle.{some} A row is a client, a column a label; the stronger the colour, the larger its share."
    )
    body = [section("Who holds what", heat_map(heat, title="Clients by labels: what share of a client's examples has a label", x="label"), note=note)]
    notes = [(name, home.note(home.clients[at])) for name, (home, at) in zip(names, (everyone[at] for at in shown), strict=True)]
    if any(word for _, word in notes):
        body.append(section("How each client sees its examples", table(["client", "its examples are"], notes), note="The test set stays as it is."))
    return page(f"{job.name} · who holds what", *body), {"clients": len(everyone), "shown": len(shown), "examples": int(sizes.sum())}


def count_labels(labels: Sequence[np.ndarray]) -> tuple[list[str], np.ndarray]:
    """The columns' names and (clients, columns) counts: a column a label, or BINS equal ranges where labels are measured or more than COLUMNS_MAX.

    >>> count_labels([np.array([0, 2, 2]), np.array([5])])
    (['0', '2', '5'], array([[1, 2, 0],
           [0, 0, 1]]))
    """
    known = np.unique(np.concatenate(labels))
    if known.dtype.kind in "iu" and len(known) <= COLUMNS_MAX:
        return [str(label) for label in known], np.array([[np.count_nonzero(own == label) for label in known] for own in labels])
    edges = np.histogram_bin_edges(known, BINS)
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    return names, np.array([np.histogram(own, edges)[0] for own in labels])


def _labels(home: Household, at: int) -> tuple[str, np.ndarray]:
    name = home.clients[at]
    return name, home.open(name).y.reshape(-1)


def _heat(names: Sequence[str], columns: Sequence[str], counts: np.ndarray) -> HeatMap:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    levels = np.ceil(shares * LEVELS - 1e-9).astype(int)
    titles = [f"{name}\n{number(int(own.sum()))} labels, {np.count_nonzero(own)} kinds" for name, own in zip(names, counts, strict=True)]
    words = ["none", *(f"{100 * (level - 1) // LEVELS} to {100 * level // LEVELS} %" for level in range(1, LEVELS + 1))]
    ticks = {at: columns[at] for at in evenly(len(columns), 20 if len(columns[0]) < 4 else 5)}
    return HeatMap(names, titles, columns, ticks, levels.tolist(), words)
