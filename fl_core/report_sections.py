"""The written parts of a report page, each a function of the run's facts: the headline, failures, data, how to reproduce it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fl_core.charts import duration, number
from fl_core.job import Job
from fl_core.markup import Html, join, table, tag
from fl_core.page import section, tile
from fl_core.report_facts import Facts, clip, held_by, sizes_of
from fl_core.report_figures import best, measured, size_histogram

TILES_MAX, FAILURE_ROWS_MAX, FAILURE_ROWS_BY_CLIENT_MAX, WORKERS_MAX, SPANS_MAX = 3, 100, 20, 50, 12


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
    said = f"This run is not finished: {number(facts.rounds)} of at most {number(job.rounds)} rounds are done. "
    return join([head, tag("p", said, tag("code", "fl resume ."), " in its folder goes on with it.", class_="banner", role="status")])


def tiles(facts: Facts, job: Job) -> Html:
    """The figures that matter, big."""
    boxes: list[Html] = []
    for name, points in list(measured(facts).items())[:TILES_MAX]:
        boxes.append(tile(name, number(list(points.values())[-1]), best(facts, name, points).partition(";")[0], class_="tile first" if not boxes else "tile"))
    examples = sum(row.get("examples", 0) for row in facts.table)
    boxes.append(tile("rounds", number(facts.rounds), f"of at most {number(job.rounds)}"))
    boxes.append(tile("examples", number(examples), "trained on, each time counted"))
    seconds, speed = _seconds(facts)
    boxes.append(tile("duration", duration(seconds), speed))
    left_out = sum(row.get("left_out", 0) for row in facts.table)
    drawn = left_out + sum(row.get("clients", 0) for row in facts.table)
    boxes.append(tile("left out", number(left_out), f"of {number(drawn)} times that a client was drawn"))
    if simulated := sum(row.get("simulated_seconds", 0) for row in facts.table):
        boxes.append(tile("simulated time", duration(simulated), "of rounds as long as their slowest device"))
    shown = tag("div", *boxes, class_="tiles" if len(boxes) <= 6 else "tiles four")
    if facts.summary is None:
        return shown
    said = "the same job ends in the same bits" if facts.summary.get("reproducible") is True else ""
    words = tag("span", "digest of the final weights"), whole(facts.summary["digest"]), tag("span", said)
    return join([shown, tag("div", *words, class_="tile strip")])


def whole(digest: str) -> Html:
    """A digest, short; whole on a click, and then selected by a click."""
    short = f"{digest[:8]}…{digest[-8:]}" if len(digest) > 20 else digest
    return tag("details", tag("summary", tag("code", short)), tag("code", digest, class_="whole"), class_="digest")


def failures(facts: Facts) -> Html:
    """Who was left out, in which rounds and why."""
    tried = f"{_count(facts.died, 'attempt')} of a training process died; each was tried again while retries were left."
    if not facts.failures:
        return section("Failures", note="Nobody was left out." + (f" {tried}" if facts.died else ""))
    rows = _failure_rows(facts.failures, by_client=True)
    if len(rows) > FAILURE_ROWS_BY_CLIENT_MAX:
        rows = _failure_rows(facts.failures, by_client=False)
    more = len(rows) - FAILURE_ROWS_MAX
    after = [tag("p", f"{number(more)} more lines are in summary.json and the close records.", class_="note")] if more > 0 else []
    if facts.failures_not_listed:
        after.append(tag("p", f"{number(facts.failures_not_listed)} later ones are only in the close records.", class_="note"))
    shown = table(["clients", "worker", "in rounds", "times", "reason"], rows[:FAILURE_ROWS_MAX], numeric=(3,))
    return section("Failures", shown, *after, note="Left out of these rounds; the others' updates made the model." + (f" {tried}" if facts.died else ""))


def _failure_rows(failures: Sequence[Mapping[str, Any]], by_client: bool) -> list[list[str]]:
    """A row for each reason at a worker, or at each of its clients."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for entry in failures:
        groups.setdefault((entry["client"] if by_client else "", entry["worker"], entry["reason"]), []).append(entry)
    rows = []
    for (_, worker, reason), entries in groups.items():
        clients = sorted({entry["client"] for entry in entries})
        who = ", ".join(clients[:3]) + (f" and {number(len(clients) - 3)} more" if len(clients) > 3 else "")
        rows.append([clip(who), worker, spans(sorted({entry["round"] for entry in entries})), number(len(entries)), clip(reason)])
    return rows


def data_cards(facts: Facts) -> Html:
    """What each worker holds: counts and fingerprints, never rows."""
    if not facts.cards:
        return Html("")
    rows = [_card_row(name, card) for name, card in list(facts.cards.items())[:WORKERS_MAX]]
    head = ["worker", "clients", "examples", "a client: least · median · most", "x", "y", "test set", "fingerprint"]
    more = len(facts.cards) - WORKERS_MAX
    after = [tag("p", f"{number(more)} more workers have cards in job/cards.", class_="note")] if more > 0 else []
    note = "What the workers say of their data; no example leaves them."
    return section("Data", table(head, rows, numeric=(1, 2, 3, 6)), *after, size_histogram(facts), note=note)


def _card_row(name: str, card: Mapping[str, Any]) -> list[str]:
    sizes = sizes_of(card)
    figures = sorted({float(f(sizes)) for f in (np.min, np.median, np.max)}) if len(sizes) else []
    between = " · ".join(number(figure) for figure in figures) or "none"
    kinds = [_kind(card.get("x")), _kind(card.get("y"))]
    return [name, number(held_by(card)), number(_total(card)), between, *kinds, number(card["test"]), whole(card["fingerprint"])]


def reproduce(facts: Facts, job: Job) -> Html:
    """The commands that end in the same digest, what it rests on, and the job itself."""
    how = _commands(facts, job)
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


def _commands(facts: Facts, job: Job) -> Html:
    given = facts.manifest.get("given", [])
    if given:
        return tag("p", f"This run was given its {' and '.join(given)} as Python objects; the job file alone does not bring it back.", class_="note")
    code = " job/code/." if facts.manifest.get("code") else ""
    lines = ["# in the run's folder, outside of which it is trained again", f'again=$(mktemp -d) && cp -r job/job.yaml{code} "$again"']
    shown = tag("pre", tag("code", "\n".join([*lines, 'fl run "$again/job.yaml" --store "$again/store" --json'])), tabindex=0)
    if not any(worker.data for worker in job.workers) and (facts.summary or {}).get("runner") != "live":
        return shown
    return join([shown, tag("p", "Where workers have data of their own, this takes the data of all of them in one place.", class_="note")])


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
    words = [f"{a}" if a == b else f"{a} to {b}" for a, b in found[:SPANS_MAX]]
    return ", ".join(words) + (", …" if len(found) > SPANS_MAX else "")


def _seconds(facts: Facts) -> tuple[float, str]:
    if facts.summary and "seconds" in facts.summary:
        return facts.summary["seconds"], f"{number(facts.summary.get('rounds_per_second', 0.0))} rounds/s"
    return sum(sum(by_round.values()) for by_round in facts.seconds.values()), "in all stages so far"


def _total(card: Mapping[str, Any]) -> int:
    sizes = card["sizes"]
    return sum(sizes) if isinstance(sizes, list) else sizes * held_by(card)


def _clients(facts: Facts) -> int:
    return sum(map(held_by, facts.cards.values()))


def _kind(kind: Mapping[str, Any] | None) -> str:
    return "" if kind is None else f"{kind['dtype']} {' × '.join(map(str, kind['shape'])) or 'scalar'}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> Html:
    return tag("dl", *(tag(name, value) for pair in pairs for name, value in zip(("dt", "dd"), pair, strict=True)))


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _count(count: int, noun: str) -> str:
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"
