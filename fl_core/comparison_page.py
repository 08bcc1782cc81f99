"""The page of a comparison: one HTML file with the table, curves by rounds, examples, bytes and seconds, simulated ones too, and every run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from fl_core.charts import LINES_MAX, Axis, Band, Series, duration, legend, line_chart, number, size
from fl_core.comparison import Combination, Comparison, Mean, bytes_to_target, curve_of, ranked, simulated_to_target, to_target
from fl_core.comparison_facts import Axis as Along
from fl_core.comparison_facts import Outcome, walked
from fl_core.comparison_figures import NONE, Column, called, caption, costs, results, rounds, spread, verdict
from fl_core.errors import InputError
from fl_core.markup import Html, table, tag
from fl_core.page import page, section, tile
from fl_core.report_facts import clip
from fl_core.report_sections import whole

PAGE = "comparison.html"
METRICS_MAX, BANDS_MAX, RUN_ROWS_MAX = 6, 6, 200
# The first rounds are cut off where the others' range is less than a WINDOW_SHAREth of all.
STEEP_SHARE, WINDOW_SHARE = 0.15, 1.5
AXES: Mapping[Along, Axis] = {
    "rounds": Axis("round"),
    "examples": Axis("examples trained on"),
    "bytes": Axis("bytes sent by clients", size),
    "seconds": Axis("seconds", duration, whole=False),
    "simulated seconds": Axis("simulated seconds", duration, whole=False),
}
COUNTED = (
    ("examples", "what accepted clients trained on, each example as often as it was seen; the personal epochs of ditto and local_fine_tuning are not counted"),
    ("sent", "what a client's update holds, in bytes, times the clients accepted: each counted as a device of its own, compressed updates as they are sent. "
     "A worker of many clients sends one sum of 4 or 8 bytes a number instead, whatever the clients; headers and signatures come on top."),
    ("received", "the state that a round starts from, weights and the server's memory, in bytes, times the clients drawn"),
    ("time", "of the whole run, on the machine that ran it; other work there shows in it"),
    ("±", "the sample standard deviation over seeds; a band reaches from the lowest to the highest seed, its line is their mean"),
)  # fmt: skip


SIMULATED = (
    "simulated", "the time of rounds that take as long as the slowest chosen device trains and sends, or, where nobody waits, until enough are done; of runs "
    "whose job has devices",
)  # fmt: skip


def write(comparison: Comparison, path: Path, command: str) -> None:
    """Writes the page, in place of an older one; `command` is what made it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(comparison, command, path.absolute().parent), encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"The page cannot be written to '{path}': {error.strerror}.") from error


def render(comparison: Comparison, command: str, folder: Path = Path("/")) -> str:
    """The page as HTML; runs are named as seen from `folder`."""
    shown = _shown(comparison)
    return page(
        f"{comparison.title} · comparison",
        _headline(comparison),
        _tiles(comparison),
        _figures(comparison),
        *(_curves(comparison, metric, shown) for metric in comparison.metrics[:METRICS_MAX]),
        _differences(comparison),
        _runs(comparison, folder),
        _how(command),
        tag("footer", "Made from the runs' records. This file loads nothing and sends nothing."),
    )


def _shown(comparison: Comparison) -> list[Combination]:
    """The combinations with a curve: all, or of many those that end best."""
    best = [one for _, one in ranked(comparison)][:LINES_MAX] if len(comparison.combinations) > LINES_MAX else []
    return [one for one in comparison.combinations if one in best] if best else list(comparison.combinations[:LINES_MAX])


def _headline(comparison: Comparison) -> Html:
    runs = [outcome for one in comparison.combinations for outcome in one.outcomes]
    left = [f"{sum(run.status == status for run in runs)} {status}" for status in ("failed", "not finished") if any(run.status == status for run in runs)]
    pill = tag("span", ", ".join(left), class_="pill open") if left else tag("span", "finished", class_="pill")
    seeds = f" × {comparison.seeds_told}" if comparison.seeds > 1 else ""
    lead = f"{_count(len(comparison.combinations), 'combination')}{seeds}, {_count(len(runs), 'run')}"
    above = tag("p", "Federated training · comparison", class_="eyebrow")
    return tag("header", above, tag("h1", comparison.title), tag("p", pill, lead, class_="lead"), tag("p", verdict(comparison), class_="lead"))


def _count(count: int, noun: str) -> str:
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def _tiles(comparison: Comparison) -> Html:
    """Who ends best; who gets to the target in the fewest rounds, with the fewest bytes, and in the least simulated time where there is one."""
    boxes = []
    if order := ranked(comparison):
        value, one = order[0]
        boxes.append(tile(f"best final {comparison.metrics[0]}", spread(value), one.name, class_="tile first"))
    if comparison.target:
        goal = f"{comparison.target.metric} {number(comparison.target.goal)}"
        boxes.append(_least(comparison, to_target, rounds, f"fewest rounds to {goal}"))
        boxes.append(_least(comparison, bytes_to_target, lambda value: size(value.mean), f"fewest bytes sent to {goal}"))
        if comparison.is_simulated:
            boxes.append(_least(comparison, simulated_to_target, lambda value: duration(value.mean), f"least simulated time to {goal}"))
    return tag("div", *boxes, class_="tiles four")


def _least(comparison: Comparison, figure: Callable[[Comparison, Combination], Mean | None], say: Callable[[Mean], str], name: str) -> Html:
    """The least of a figure, of the combinations that have it with every seed."""
    found = [(value, one) for one in comparison.combinations if (value := figure(comparison, one)) is not None and value.count == len(one.finished)]
    if not found:
        return tile(name, NONE, "no combination got there with every seed")
    value, one = min(found, key=lambda pair: pair[0].mean)
    return tile(name, say(value), one.name)


def _figures(comparison: Comparison) -> Html:
    terms = [term for name, meaning in (*COUNTED, *([SIMULATED] if comparison.is_simulated else [])) for term in (tag("dt", name), tag("dd", meaning))]
    counted = tag("details", tag("summary", "How it is counted"), tag("dl", *terms))
    took = tag("h3", "What it took"), _table(comparison, costs(comparison))
    note = f"{caption(comparison)} The best of a column is bold."
    return section("Side by side", _table(comparison, results(comparison)), *took, counted, note=note)


def _table(comparison: Comparison, figures: Sequence[Column]) -> Html:
    shown = [*called(comparison), *figures]
    rows: list[list[str]] = [
        [tag("strong", column.cells[place]) if column.best == place else column.cells[place] for column in shown]
        for place in range(len(comparison.combinations))
    ]
    return table([column.head for column in shown], rows, numeric=[place for place, column in enumerate(shown) if column.numeric])


def _curves(comparison: Comparison, metric: str, shown: list[Combination]) -> Html:
    """The metric along every axis that a run has; all charts share one legend."""
    goal = comparison.target.goal if comparison.target and comparison.target.metric == metric else None
    panels, cut = [], False
    for along, axis in AXES.items():
        lines = [(one.name, _line(one, metric, along)) for one in shown]
        if not any(points for _, points in lines):
            continue
        banded = comparison.seeds > 1 and len(shown) <= BANDS_MAX
        bands = [Band(name, points) for name, points in lines] if banded else []
        series = [] if banded else [Series(name, {at: middle for at, (_, middle, _) in points.items()}) for name, points in lines]
        window = _window([points for _, points in lines])
        cut = cut or window is not None
        chart = line_chart(series, bands=bands, title=f"{metric} by {along}", x=axis, y=metric, goal=goal, keyed=False, window=window)
        panels.append(tag("div", tag("h3", f"by {along}"), chart))
    note = "The state after each round" + (", as far as all seeds of a combination got." if comparison.seeds > 1 else ".")
    note += " Steep first rounds are cut off." if cut else ""
    if len(shown) < len(comparison.combinations):
        note += f" Of {len(comparison.combinations)} combinations the {len(shown)} that end best are drawn."
    if comparison.seeds > 1:
        note += " Line: mean over seeds. " + ("Band: lowest to highest seed." if len(shown) <= BANDS_MAX else "So many combinations are drawn without bands.")
    return section(metric, legend([one.name for one in shown]), tag("div", *panels, class_="panels"), note=note)


def _window(lines: Sequence[Mapping[float, tuple[float, float, float]]]) -> tuple[float, float] | None:
    """The range of y without the first steep rounds, where they would squeeze what matters; None where they would not."""
    everything = [value for points in lines for three in points.values() for value in three]
    late = [value for points in lines for three in list(points.values())[round(len(points) * STEEP_SHARE) :] for value in three]
    low, high = min(late), max(late)
    return (low, high) if high > low and max(everything) - min(everything) > WINDOW_SHARE * (high - low) else None


def _line(one: Combination, metric: str, along: Along) -> dict[float, tuple[float, float, float]]:
    """(lowest, mean, highest) over the seeds by how far the seeds are on average, after each round that all of them have."""
    outcomes = one.finished or [outcome for outcome in one.outcomes if outcome.table]
    curves = [curve_of(outcome, metric) for outcome in outcomes]
    reached = [dict(zip((row["round"] for row in outcome.table), walked(outcome, along), strict=False)) for outcome in outcomes]
    shared = [round for round in (curves[0] if curves else {}) if all(round in other for other in (*curves, *reached))]
    points = {}
    for round in shared:
        values = [curve[round] for curve in curves]
        points[fmean(place[round] for place in reached)] = (min(values), fmean(values), max(values))
    return points


def _differences(comparison: Comparison) -> Html:
    """All that sets the jobs apart, where their names do not say it all."""
    keys = list(dict.fromkeys(key for one in comparison.combinations for key in one.differs))
    if len(keys) <= len(comparison.keys):
        return Html("")
    rows = [[key, *(clip(one.differs.get(key, NONE)) for one in comparison.combinations)] for key in keys]
    return section("What differs", table(["key", *(one.name for one in comparison.combinations)], rows), note="Every key of the jobs, but for the seed.")


def _runs(comparison: Comparison, folder: Path) -> Html:
    pairs = [(one, outcome) for one in comparison.combinations for outcome in one.outcomes]
    metric = comparison.metrics[:1]
    rows = [_run_row(one, outcome, metric, folder) for one, outcome in pairs[:RUN_ROWS_MAX]]
    more = len(pairs) - RUN_ROWS_MAX
    after = [tag("p", f"{number(more)} more runs are in the table above and in --json.", class_="note")] if more > 0 else []
    head = ["combination", "seed", "status", "rounds", *metric, "digest", "run"]
    return section("Runs", table(head, rows, numeric=(1, 3, 4) if metric else (1, 3)), *after, note="Each folder has a report of its own, report.html.")


def _run_row(one: Combination, outcome: Outcome, metric: Sequence[str], folder: Path) -> list[str]:
    status = outcome.status if not outcome.why else f"{outcome.status}: {clip(outcome.why)}"
    last = outcome.table[-1]["metrics"] if outcome.table else {}
    figures = [number(last[name]) if name in last else NONE for name in metric]
    digest: str = whole(outcome.digest) if outcome.digest else NONE
    return [one.name, str(outcome.job.seed), status, number(outcome.rounds), *figures, digest, outcome.place.removeprefix(f"{folder}/")]


def _how(command: str) -> Html:
    note = "Run again, it reads the runs that are there and does those that are missing."
    return section("Make it again", tag("pre", tag("code", command), tabindex=0), note=note)
