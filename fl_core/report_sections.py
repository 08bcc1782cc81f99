"""The parts of a report page, each a function of the run's facts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fl_core.charts import Band, HeatMap, Series, duration, evenly, heat_map, line_chart, number, stacked_bars
from fl_core.job import Job
from fl_core.markup import Html, join, table, tag
from fl_core.page import section
from fl_core.program import direction_of
from fl_core.report_facts import PERCENTILES, Facts, Participation

TILES_MAX, PANELS_MAX, TABLE_ROWS_MAX, FAILURE_ROWS_MAX, WORKERS_MAX, MARKS_MAX, BARS_MAX = 3, 8, 100, 100, 50, 1000, 100
TEXT_LETTERS_MAX = 300
HELD_OUT = "_held_out"
STAGES = ("train", "evaluate", "close", "select")
LEVELS = 5


def headline(facts: Facts, job: Job) -> Html:
    """Name, what was trained by whom, and whether it is done."""
    workers, clients = len(job.workers), _clients(facts)
    lead = [f"{job.strategy.name} · {job.program.name} · "]
    lead.append(f"{_count(clients, 'client')} on {_count(workers, 'worker')}" if clients else _count(workers, "worker"))
    if facts.summary is None:
        pill = tag("span", "not finished", class_="pill open")
    elif facts.ended == "stop_when":
        pill = tag("span", "finished: goal reached", class_="pill")
    else:
        pill = tag("span", "finished", class_="pill")
    above = tag("p", f"Federated training · run {facts.name}", class_="eyebrow")
    head = tag("header", above, tag("h1", job.name), tag("p", pill, "".join(lead), class_="lead"))
    if facts.summary is not None:
        return head
    said = f"This run is not finished: {facts.rounds} of at most {job.rounds} rounds are done. Continue it in its folder with "
    return join([head, tag("p", said, tag("code", "fl resume ."), ".", class_="banner", role="status")])


def tiles(facts: Facts, job: Job) -> Html:
    """The figures that matter, big."""
    measured = _measured(facts)
    boxes: list[Html] = []
    for name, points in list(measured.items())[:TILES_MAX]:
        boxes.append(_tile(name, number(list(points.values())[-1]), _best(facts, name, points).partition(";")[0], class_="tile first" if not boxes else "tile"))
    examples = sum(row.get("examples", 0) for row in facts.table)
    boxes.append(_tile("rounds", number(facts.rounds), f"of at most {number(job.rounds)}"))
    boxes.append(_tile("examples", number(examples), "trained on, each time counted"))
    seconds, speed = _seconds(facts)
    boxes.append(_tile("duration", duration(seconds), speed))
    left_out = sum(row.get("left_out", 0) for row in facts.table)
    boxes.append(_tile("left out", number(left_out), "times a client of a round" if left_out else "all who were drawn answered"))
    shown = tag("div", *boxes, class_="tiles" if len(boxes) <= 6 else "tiles four")
    if facts.summary is None:
        return shown
    words = tag("span", "digest of the final weights"), whole(facts.summary["digest"]), tag("span", "the same job ends in the same bits")
    return join([shown, tag("div", *words, class_="tile strip")])


def whole(digest: str) -> Html:
    """A digest, short; whole on a click, and then selected by a click."""
    short = f"{digest[:8]}…{digest[-8:]}" if len(digest) > 20 else digest
    return tag("details", tag("summary", tag("code", short)), tag("code", digest, class_="whole"), class_="digest")


def learning(facts: Facts, job: Job) -> Html:
    """A panel for each metric: on the test set, on the held-out parts, while training."""
    panels = []
    for name, lines in _curves(facts, job).items():
        points = next(iter(lines.values()))
        goal = job.stop_when.get(name)
        chart = line_chart([Series(label, line) for label, line in lines.items()], title=f"{name} over rounds", y=name, goal=goal)
        panels.append(tag("div", tag("h3", name), tag("p", _best(facts, name, points), class_="note"), chart))
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
    items = [("l0", "not drawn" if one_each else "nobody"), ("l5", "took part" if one_each else f"up to {highest:.2g} of the cell's client rounds took part")]
    items += [("mark", "left out: hover for the reason")] if part.marks else []
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


def failures(facts: Facts) -> Html:
    """Who was left out, in which rounds and why."""
    tried = f"{_count(facts.died, 'attempt')} of a training process died; each was tried again while retries were left."
    if not facts.failures:
        return section("Failures", note="Nobody was left out." + (f" {tried}" if facts.died else ""))
    groups: dict[tuple[str, str, str], list[int]] = {}
    for entry in facts.failures:
        groups.setdefault((entry["client"], entry["worker"], entry["reason"]), []).append(entry["round"])
    rows = [[_clip(client), worker, spans(rounds), number(len(rounds)), _clip(reason)] for (client, worker, reason), rounds in groups.items()]
    more = len(rows) - FAILURE_ROWS_MAX
    after = [tag("p", f"{number(more)} more lines are in summary.json and the close records.", class_="note")] if more > 0 else []
    if facts.failures_not_listed:
        after.append(tag("p", f"{number(facts.failures_not_listed)} later ones are only in the close records.", class_="note"))
    shown = table(["client", "worker", "in rounds", "times", "reason"], rows[:FAILURE_ROWS_MAX], numeric=(3,))
    return section("Failures", shown, *after, note="Left out of these rounds; the others' updates made the model." + (f" {tried}" if facts.died else ""))


def data_cards(facts: Facts) -> Html:
    """What each worker holds: counts and fingerprints, never rows."""
    if not facts.cards:
        return Html("")
    rows = [_card_row(name, card) for name, card in list(facts.cards.items())[:WORKERS_MAX]]
    head = ["worker", "clients", "examples", "a client: least · median · most", "x", "y", "test set", "fingerprint"]
    more = len(facts.cards) - WORKERS_MAX
    after = [tag("p", f"{number(more)} more workers have cards in job/cards.", class_="note")] if more > 0 else []
    note = "What the workers say of their data; no example leaves them."
    return section("Data", table(head, rows, numeric=(1, 2, 3, 6)), *after, _histogram(facts), note=note)


def _card_row(name: str, card: Mapping[str, Any]) -> list[str]:
    sizes = _sizes(card)
    figures = sorted({float(f(sizes)) for f in (np.min, np.median, np.max)}) if len(sizes) else []
    between = " · ".join(number(figure) for figure in figures) or "none"
    kinds = [_kind(card.get("x")), _kind(card.get("y"))]
    return [name, number(_held(card)), number(_total(card)), between, *kinds, number(card["test"]), whole(card["fingerprint"])]


def reproduce(facts: Facts, job: Job) -> Html:
    """The commands that end in the same digest, what it rests on, and the job itself."""
    how = _commands(facts)
    pairs = [("expected digest", whole(facts.summary["digest"]) if facts.summary else "not known before the run is finished")]
    pairs += [("job digest", whole(facts.manifest["digest"]))]
    pairs += [(f"code: {name}", whole(sha)) for name, sha in sorted(facts.manifest.get("code", {}).items())]
    if facts.summary:
        pairs += [("reproducible", "yes" if facts.summary.get("reproducible") is True else str(facts.summary.get("reproducible")))]
        pairs += [("runner", str(facts.summary.get("runner", "")))] if facts.summary.get("runner") else []
        pairs += [("resumed", f"after round {facts.summary['resumed_from']}")] if facts.summary.get("resumed_from") is not None else []
    numerics = facts.manifest.get("numerics") or (facts.summary or {}).get("numerics", {})
    pairs += [(f"numerics: {key.replace('_', ' ')}", _plain(value)) for key, value in sorted(numerics.items())]
    note = "The same job, seed and close records give the same digest on the same kind of processor with the same numerics."
    text = tag("details", tag("summary", "The job, complete"), tag("pre", tag("code", job.text), tabindex=0), open="")
    return section("Reproduce it", how, _pairs(pairs), text, note=note)


def _commands(facts: Facts) -> Html:
    given = facts.manifest.get("given", [])
    if given:
        return tag("p", f"This run was given its {' and '.join(given)} as Python objects; the job file alone does not bring it back.", class_="note")
    lines = ["# in the run's folder"]
    if facts.manifest.get("code"):
        lines += ["mkdir again && cp job/job.yaml again/ && cp -r job/code/. again/", "fl run again/job.yaml --out again/run --json"]
    else:
        lines += ["fl run job/job.yaml --out again --json", "# or with the job below saved as job.yaml", "fl run job.yaml --json"]
    return tag("pre", tag("code", "\n".join(lines)), tabindex=0)


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


def spans(rounds: Iterable[int]) -> str:
    """Numbers in rising order as spans, the first few of them.

    >>> spans([1, 2, 3, 7, 9, 10])
    '1 to 3, 7, 9 to 10'
    """
    found: list[list[int]] = []
    for round in rounds:
        if found and found[-1][1] == round - 1:
            found[-1][1] = round
        else:
            found.append([round, round])
    words = [f"{a}" if a == b else f"{a} to {b}" for a, b in found[:12]]
    return ", ".join(words) + (", …" if len(found) > 12 else "")


def _measured(facts: Facts) -> dict[str, dict[float, float]]:
    """Each metric over rounds, without its percentiles; those with a direction and 'higher' first."""
    found: dict[str, dict[float, float]] = {}
    for row in facts.table:
        for name, value in row["metrics"].items():
            if not any(name.endswith(f"_p{p}") for p in PERCENTILES) and not name.endswith(HELD_OUT):
                found.setdefault(name, {})[float(row["round"])] = value
    order = {"higher": 0, "lower": 1, None: 2}
    return dict(sorted(found.items(), key=lambda item: (order[_direction(facts, item[0])], item[0])))


def _curves(facts: Facts, job: Job) -> dict[str, dict[str, dict[float, float]]]:
    """{metric: {what it was measured on: {round: value}}}."""
    first = "held-out parts" if job.evaluate.on == "held_out" else "test set"
    curves = {name: {first: points} for name, points in _measured(facts).items()}
    if job.evaluate.on == "both":
        for name, lines in curves.items():
            held_out = {float(row["round"]): row["metrics"][name + HELD_OUT] for row in facts.table if name + HELD_OUT in row["metrics"]}
            if held_out:
                lines["held-out parts"] = held_out
    training = {float(row["round"]): row["train_loss"] for row in facts.table if "train_loss" in row}
    if training:
        curves.setdefault("loss", {})["training"] = training
    return curves


def _direction(facts: Facts, name: str) -> Any:
    return facts.manifest.get("better", {}).get(name) or direction_of(name)


def _best(facts: Facts, name: str, points: Mapping[float, float]) -> str:
    direction = _direction(facts, name)
    if direction is None:
        return "the last value"
    at = (max if direction == "higher" else min)(points, key=lambda x: points[x])
    return f"best {number(points[at])} after round {number(at)}; {direction} is better"


def _tile(name: str, value: str, more: str, class_: str = "tile") -> Html:
    return tag("div", tag("div", name, class_="name"), tag("div", value, class_="value"), tag("div", more, class_="more"), class_=class_)


def _seconds(facts: Facts) -> tuple[float, str]:
    if facts.summary and "seconds" in facts.summary:
        return facts.summary["seconds"], f"{number(facts.summary.get('rounds_per_second', 0.0))} rounds/s"
    return sum(sum(by_round.values()) for by_round in facts.seconds.values()), "in all stages so far"


def _numbers(facts: Facts) -> Html:
    """The curves as a table, for those who read rather than look."""
    names = sorted({name for row in facts.table for name in row["metrics"]})[:24]
    kept = [facts.table[i] for i in evenly(len(facts.table), TABLE_ROWS_MAX)]
    rows = []
    for row in kept:
        figures = [number(row["metrics"][name]) if name in row["metrics"] else "" for name in names]
        training = [number(row[key]) if key in row else "" for key in ("train_loss", "clients", "left_out", "examples")]
        rows.append([number(row["round"]), *figures, *training])
    head = ["round", *names, "train_loss", "clients", "left_out", "examples"]
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
        marks[place] = "left out\n" + _clip(reason) + (f"\nand {number(times - 1)} more" if times > 1 else "")
    return marks


def _keys(items: Sequence[tuple[str, str]]) -> Html:
    squares = []
    for class_, text in items:
        box = tag("rect", x=0, y=0, width=13, height=13, rx=2, class_=class_)
        squares.append(tag("li", tag("svg", box, viewBox="0 0 13 13", width=13, height=13, aria_hidden="true", class_="square"), text))
    return tag("ul", *squares, class_="legend")


def _histogram(facts: Facts) -> Html:
    """How many clients hold how many examples; nothing where all hold about the same."""
    sizes = np.concatenate([_sizes(card) for card in facts.cards.values()])
    if not len(sizes) or sizes.max() <= sizes.min() * 1.05:
        return Html("")
    counts, edges = np.histogram(sizes, bins=min(30, int(sizes.max() - sizes.min()) + 1, max(5, len(sizes) // 2)))
    edge = [int(np.ceil(e)) for e in edges]
    bars = [(f"{number(a)} to {number(b)} examples", {"clients": float(count)}) for a, b, count in zip(edge, edge[1:], counts, strict=False)]
    ticks = {place: number(edge[place]) for place in evenly(len(bars), 8)}
    chart = stacked_bars(bars, ["clients"], title="How many clients hold how many examples", x="examples", y="clients", ticks=ticks)
    return join([tag("h3", "Sizes of clients"), chart])


def _held(card: Mapping[str, Any]) -> int:
    clients = card["clients"]
    return int(clients["stop"] - clients["start"]) if isinstance(clients, dict) else len(clients)


def _sizes(card: Mapping[str, Any]) -> np.ndarray:
    """The sizes of the worker's clients; one for all where they are equal."""
    sizes = card["sizes"]
    return np.array(sizes if isinstance(sizes, list) else [sizes] * min(_held(card), 1), np.int64)


def _total(card: Mapping[str, Any]) -> int:
    sizes = card["sizes"]
    return sum(sizes) if isinstance(sizes, list) else sizes * _held(card)


def _clients(facts: Facts) -> int:
    return sum(map(_held, facts.cards.values()))


def _kind(kind: Mapping[str, Any] | None) -> str:
    return "" if kind is None else f"{kind['dtype']} {' × '.join(map(str, kind['shape'])) or 'scalar'}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> Html:
    return tag("dl", *(tag(name, value) for pair in pairs for name, value in zip(("dt", "dd"), pair, strict=True)))


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _count(count: int, noun: str) -> str:
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def _clip(text: str) -> str:
    return text if len(text) <= TEXT_LETTERS_MAX else f"{text[: TEXT_LETTERS_MAX - 1]}…"
