"""The drawn parts of a report page, each a function of the run's facts: curves, spread, who took part, time."""

from collections.abc import Mapping, Sequence

import numpy as np

from fl_core.charts import Band, HeatMap, Series, duration, evenly, heat_map, line_chart, number, stacked_bars
from fl_core.curves import HELD_OUT, best_round, curves_of, direction
from fl_core.job import Job
from fl_core.markup import Html, join, table, tag
from fl_core.page import section
from fl_core.report_facts import Facts, Participation, clip, sizes_of

PANELS_MAX, TABLE_ROWS_MAX, COLUMNS_MAX, MARKS_MAX, BARS_MAX, BINS_MAX = 8, 100, 24, 1000, 100, 30
STAGES = ("train", "evaluate", "close", "select")
LEVELS = 5


def learning(facts: Facts, job: Job) -> Html:
    """A panel for each metric: on the test set, on the held-out parts, while training."""
    panels = []
    for name, lines in _curves(facts, job).items():
        points = next(iter(lines.values()))
        goal = job.stop_when.get(name)
        chart = line_chart([Series(label, line) for label, line in lines.items()], title=f"{name} over rounds", y=name, goal=goal)
        panels.append(tag("div", tag("h3", name), tag("p", best(facts, name, points), class_="note"), chart))
    if not panels:
        return section("Learning curves", note="Nothing was measured yet.")
    note = "Each round's model; round 0 is the model before any training."
    return section("Learning curves", tag("div", *panels[:PANELS_MAX], class_="panels"), _numbers(facts), note=note)


def spread(facts: Facts) -> Html:
    """How unequal clients are: the 10th, 50th and 90th percentile over them, round by round."""
    panels = []
    for name, points in sorted(facts.spreads.items()):
        band = Band("median client", {float(at): three for at, three in points.items()})
        chart = line_chart([], bands=[band], title=f"{name} over clients, by round", y=name.partition(" ")[2])
        panels.append(tag("div", tag("h3", name), chart))
    if not panels:
        return Html("")
    note = "Line: the median client. Band: from the 10th to the 90th percentile of the clients of the round. A narrow band is a model that serves all alike."
    return section("Spread over clients", tag("div", *panels[:PANELS_MAX], class_="panels"), note=note)


def participation(facts: Facts) -> Html:
    """Who took part in which round, and who was left out and why."""
    part = facts.participation
    if part is None:
        return section("Who took part", note="No round is done yet.")
    one_each = max(part.sizes) == 1 and all(first == last for first, last in part.columns)
    highest = float(part.shares.max()) or 1.0
    levels = np.ceil(part.shares / highest * LEVELS - 1e-9).astype(int)
    heat = HeatMap(
        rows=[first if size == 1 else f"{first} + {size - 1}" for (first, _), size in zip(part.rows, part.sizes, strict=True)],
        row_titles=[_row_title(part, row) for row in range(len(part.rows))],
        columns=[f"round {first}" if first == last else f"rounds {first} to {last}" for first, last in part.columns],
        ticks=round_ticks([first for first, _ in part.columns]),
        cells=levels.tolist(),
        words=_words(one_each, highest),
        marks=_marks(part),
    )
    items: list[tuple[Sequence[str], str]]
    if one_each:
        items = [(("l0",), "not drawn"), (("l5",), "took part")]
    else:
        items = [(("l0",), "nobody"), (tuple(f"l{level}" for level in range(1, LEVELS + 1)), f"share that took part, up to {100 * highest:.3g} %")]
    items += [(("mark",), "left out: hover for the reason")] if part.marks else []
    row, column = "a group of clients" if max(part.sizes) > 1 else "a client", "some rounds" if part.columns[0][0] < part.columns[0][1] else "a round"
    note = f"A row is {row}, a column {column}" + ("." if one_each else "; the stronger the colour, the more took part.")
    return section("Who took part", _keys(items), heat_map(heat, title="Clients by rounds: who took part, who was left out", x="round"), note=note)


def time_by_stage(facts: Facts) -> Html:
    """Where the time went, by stage, round by round and in all."""
    if not facts.seconds:
        return Html("")
    stages = sorted(facts.seconds, key=lambda stage: (STAGES.index(stage) if stage in STAGES else len(STAGES), stage))
    totals = {stage: sum(facts.seconds[stage].values()) for stage in stages}
    rounds = range(1, max(facts.rounds, 1) + 1)
    wide = -(-len(rounds) // BARS_MAX)
    bars = []
    for first in rounds[::wide]:
        group = range(first, min(first + wide, rounds.stop))
        values = {stage: sum(facts.seconds[stage].get(r, 0.0) for r in group) / len(group) for stage in stages}
        bars.append((f"round {first}" if wide == 1 else f"rounds {first} to {group[-1]}, mean", values))
    unit, scale = ("s", 1.0) if max(sum(values.values()) for _, values in bars) >= 1 else ("ms", 1000.0)
    scaled = [(name, {stage: value * scale for stage, value in values.items()}) for name, values in bars]
    chart = stacked_bars(scaled, stages, title="Time by stage over rounds", x="round", y=f"{unit} a round", ticks=round_ticks(rounds[::wide]), unit=f" {unit}")
    all_seconds = sum(totals.values()) or 1.0
    rows = [[stage, duration(total), f"{100 * total / all_seconds:.1f} %", duration(total / max(facts.rounds, 1))] for stage, total in totals.items()]
    rows.append(["all stages", duration(sum(totals.values())), "", duration(sum(totals.values()) / max(facts.rounds, 1))])
    note = "An evaluation counts to the round whose result it measures. The totals include the evaluation before the first round."
    return section("Time by stage", chart, table(["stage", "total", "share", "a round"], rows, numeric=(1, 2, 3)), note=note)


def size_histogram(facts: Facts) -> Html:
    """How many clients hold how many examples; nothing where all hold about the same."""
    sizes = np.concatenate([sizes_of(card) for card in facts.cards.values()])
    if not len(sizes) or sizes.max() <= sizes.min() * 1.05:
        return Html("")
    counts, edges = np.histogram(sizes, bins=min(BINS_MAX, int(sizes.max() - sizes.min()) + 1, max(5, len(sizes) // 2)))
    edge = [int(np.ceil(e)) for e in edges]
    bars = [(f"{number(a)} to {number(b)} examples", {"clients": float(count)}) for a, b, count in zip(edge, edge[1:], counts, strict=False)]
    ticks = {place: number(edge[place]) for place in evenly(len(bars), 8)}
    chart = stacked_bars(bars, ["clients"], title="How many clients hold how many examples", x="examples", y="clients", ticks=ticks)
    return join([tag("h3", "Sizes of clients"), chart])


def round_ticks(rounds: Sequence[int], count: int = 12) -> dict[int, str]:
    """Which places of a row of rounds to name: the first, and then round numbers."""
    step = next(s * 10**p for p in range(7) for s in (1, 2, 5) if (rounds[-1] - rounds[0]) / (s * 10**p) <= count)
    ticks = {0: number(rounds[0])}
    passed = rounds[0] // step
    for place, round in enumerate(rounds):
        if round // step > passed:
            passed = round // step
            ticks[place] = number(round)
    if len(ticks) > 1 and rounds[sorted(ticks)[1]] - rounds[0] < step * 0.75:
        del ticks[0]
    return ticks


def measured(facts: Facts) -> dict[str, dict[float, float]]:
    """Each metric over rounds, without its percentiles; those with a direction and 'higher' first."""
    return curves_of(facts.table, facts.manifest.get("better", {}))


def best(facts: Facts, name: str, points: Mapping[float, float]) -> str:
    towards = direction(name, facts.manifest.get("better", {}))
    if towards is None:
        return "the last value"
    at = best_round(points, towards)
    return f"best {number(points[at])} after round {number(at)}; {towards} is better"


def _curves(facts: Facts, job: Job) -> dict[str, dict[str, dict[float, float]]]:
    """{metric: {what it was measured on: {round: value}}}."""
    first = "held-out parts" if job.evaluate.on == "held_out" else "test set"
    curves = {name: {first: points} for name, points in measured(facts).items()}
    if job.evaluate.on == "both":
        for name, lines in curves.items():
            held_out = {float(row["round"]): row["metrics"][name + HELD_OUT] for row in facts.table if name + HELD_OUT in row["metrics"]}
            if held_out:
                lines["held-out parts"] = held_out
    training = {float(row["round"]): row["train_loss"] for row in facts.table if "train_loss" in row}
    if training:
        curves.setdefault("loss", {})["training"] = training
    return curves


def _numbers(facts: Facts) -> Html:
    """The curves as a table, for those who read rather than look."""
    names = sorted({name for row in facts.table for name in row["metrics"]})[:COLUMNS_MAX]
    kept = [facts.table[i] for i in evenly(len(facts.table), TABLE_ROWS_MAX)]
    known = ["train_loss", "clients", "left_out", "examples", *(["simulated_seconds"] if any("simulated_seconds" in row for row in facts.table) else [])]
    rows = []
    for row in kept:
        figures = [number(row["metrics"][name]) if name in row["metrics"] else "" for name in names]
        training = [number(row[key]) if key in row else "" for key in known]
        rows.append([number(row["round"]), *figures, *training])
    head = ["round", *names, *known]
    said = "The numbers" if len(kept) == len(facts.table) else f"The numbers of {len(kept)} of {len(facts.table)} rounds; all are in metrics.jsonl"
    return tag("details", tag("summary", said), table(head, rows, numeric=range(len(head))))


def _row_title(part: Participation, row: int) -> str:
    (first, last), size = part.rows[row], part.sizes[row]
    who = first if size == 1 else f"{number(size)} clients, {first} to {last}"
    return f"{who}\ntook part {number(part.took[row])} times in {number(part.columns[-1][1])} rounds"


def _words(one_each: bool, highest: float) -> list[str]:
    if one_each:
        return ["not drawn", *["took part"] * LEVELS]
    return ["nobody", *(f"{100 * highest * (level - 1) / LEVELS:.3g} to {100 * highest * level / LEVELS:.3g} % took part" for level in range(1, LEVELS + 1))]


def _marks(part: Participation) -> dict[tuple[int, int], str]:
    marks = {}
    for place, (times, reason) in sorted(part.marks.items())[:MARKS_MAX]:
        marks[place] = "left out\n" + clip(reason) + (f"\nand {number(times - 1)} more" if times > 1 else "")
    return marks


def _keys(items: Sequence[tuple[Sequence[str], str]]) -> Html:
    keys = []
    for classes, text in items:
        boxes = [tag("rect", x=14 * i, y=0, width=13, height=13, rx=2, class_=class_) for i, class_ in enumerate(classes)]
        width = 14 * len(classes) - 1
        keys.append(tag("li", tag("svg", *boxes, viewBox=f"0 0 {width} 13", width=width, height=13, aria_hidden="true"), text))
    return tag("ul", *keys, class_="legend")
