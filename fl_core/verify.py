"""Verifies a run offline, from its folder alone: signatures, digests, the chain from the manifest to the last state, and the sums themselves.

What the run kept is checked again: the replies of a round are merged anew and must give the next state byte for byte. What it did not keep is said.
The user's strategy is run for that, after its sha256 was found to be the one that the server signed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fl_core.codec import Record, decode_tensors, digest_weights, encode_record, encode_state, encode_tensors, sha256
from fl_core.errors import FederationError, KeyMissing
from fl_core.flight import flying, in_flight, tasks_in_flight
from fl_core.journal import JOURNAL, find_break, is_signed
from fl_core.merging import merge
from fl_core.report import REPORT, render
from fl_core.run_folder import (
    JOB,
    MANIFEST,
    ROSTER,
    Run,
    card_key,
    close_key,
    evaluation_key,
    message_key,
    metrics_key,
    open_at,
    plan_key,
    state_key,
)
from fl_core.server import next_state
from fl_core.store import DictStore, Store
from fl_core.summary import rows
from fl_core.worker import key_of, tasks_of

UNSIGNED = {"status.json", JOURNAL}


@dataclass
class Verification:
    """What was found wrong, which rounds were merged again, and the digest that the run ends in. It is filled as the run is walked."""

    found: list[str] = field(default_factory=list)
    replayed: list[int] = field(default_factory=list)
    not_kept: list[int] = field(default_factory=list)
    server_key: str = ""
    digest: str = ""
    known: set[str] = field(default_factory=set)
    asked_for: set[str] = field(default_factory=set)

    @property
    def good(self) -> bool:
        return not self.found

    def check(self, right: bool, sentence: str) -> None:
        if not right:
            self.found.append(sentence)


def verify(store: Store, server_key: str | None = None) -> Verification:
    """Walks the run in the store; `server_key` is the server's public key as it was got elsewhere, None to take the run's own. A run of another server is
    not walked: to merge its replies anew is to run its strategy."""
    result = Verification()
    try:
        run = open_at(store, DictStore({}), server_key=server_key or "")
        manifest, result.server_key = run.manifest, str(run.manifest["server_key"])
    except (FederationError, UnicodeDecodeError, KeyError) as error:
        result.found.append(str(error))
        return result
    result.known |= {MANIFEST, JOB, ROSTER, *(f"job/code/{name}" for name in manifest["code"])}
    for worker in run.job.workers:
        _record(run, card_key(worker.name), result)
    before = run.digest(MANIFEST)
    for round in range(1, run.last_round() + 1):
        closed = _round(run, round, before, result)
        if closed is None:
            break
        before = run.digest(close_key(round))
    for round in range(run.last_round() + 1, run.job.rounds + 2):  # a pipeline plans its later rounds, too, as finished
        if not run.store.exists(plan_key(round)):
            break
        plan = _record(run, plan_key(round), result)
        result.check(plan is None or plan["finished"], f"'{plan_key(round)}' plans a round that has no state to start from.")
    _end(run, result)
    _strangers(run, result)
    return result


def _try(result: Verification, key: str, what: Callable[[], Any]) -> Any:
    """The value, or None and a finding that names the key."""
    try:
        return what()
    except KeyMissing:
        result.found.append(f"'{key}' is missing.")
    except (FederationError, KeyError, TypeError, ValueError) as error:
        text = str(error)
        result.found.append(text if key in text else f"'{key}': {text}")
    return None


def _record(run: Run, key: str, result: Verification) -> Record | None:
    result.known.add(key)
    found: Record | None = _try(result, key, lambda: run.record(key))
    return found


def _round(run: Run, round: int, before: str, result: Verification) -> Record | None:
    """One round: its evaluation, plan, state, close record and replies; None after the last."""
    _evaluation(run, round, result)
    if not run.store.exists(plan_key(round)):
        result.known.add(state_key(round))
        return None
    plan = _record(run, plan_key(round), result)
    if plan is None:
        return None
    result.check(plan.get("run") == run.name and plan.get("round") == round, f"'{plan_key(round)}' is the plan of another round.")
    result.check(plan.get("previous") == before, f"'{plan_key(round)}' does not follow from what is there before it; one of the two was swapped.")
    for worker, digest in plan.get("cards", {}).items():
        result.check(
            run.store.exists(card_key(worker)) and run.digest(card_key(worker)) == digest,
            f"'{card_key(worker)}' is not the card that the plan of round 1 names.",
        )
    for base, digest in plan.get("states", {}).items():
        result.check(
            run.store.exists(plan_key(int(base))) and run.record(plan_key(int(base)))["state"] == digest,
            f"'{plan_key(round)}' starts clients from another state of round {base} than '{plan_key(int(base))}' names.",
        )
    if "in_flight" in plan:
        _try(result, plan_key(round), lambda: _departures(run, plan, result))
    state_kept = run.store.exists(state_key(round))
    if state_kept:
        result.known.add(state_key(round))
        result.check(
            run.digest(state_key(round)) == plan.get("state"), f"'{state_key(round)}' is not the state that the plan of round {round} names; it was changed."
        )
    if plan["finished"]:
        return None
    result.asked_for |= {key_of(task) for trip in run.strategy.exchanges for task in tasks_of(plan, trip.name, list(plan["workers"]))}
    if not run.store.exists(close_key(round)):
        return None
    closed = _record(run, close_key(round), result)
    if closed is not None:
        result.check(closed.get("plan") == run.digest(plan_key(round)), f"'{close_key(round)}' does not close the plan of round {round}.")
        if "in_flight" in plan:
            _try(result, close_key(round), lambda: _arrivals(run, plan, closed, result))
        _replies(run, plan, closed, state_kept, result)
    return closed


def _departures(run: Run, plan: Record, result: Verification) -> None:
    """Where arrivals are measured: who was in flight when the round was planned, as the round before left them."""
    round, before = plan["round"], in_flight(run, plan["round"])
    result.check(plan["in_flight"] == before, f"'{plan_key(round)}' does not say who was in flight after round {round - 1}.")
    twice = [client for client, base in flying(plan).items() if base == round and client in before]
    result.check(not twice, f"'{plan_key(round)}' starts {', '.join(twice)} anew, in flight since an earlier round.")


def _arrivals(run: Run, plan: Record, closed: Record, result: Verification) -> None:
    """Where arrivals are measured: each accepted reply is that of a client in flight, to the plan in which it started, and is counted once."""
    awaited, accepted = {key_of(task): task for task in tasks_in_flight(run, plan)}, {}
    for key in closed["replies"]:
        if key not in awaited:
            result.found.append(f"'{close_key(plan['round'])}' accepts '{key}', which nobody in flight was to send.")
            continue
        (client,), base = awaited[key].clients, awaited[key].round
        accepted[client] = base
        reply = decode_tensors(run.store.get(key), key)[1] if run.store.exists(key) else None
        right = reply is None or (reply["plan"] == run.digest(plan_key(base)) and list(reply["clients"]) == [client])
        result.check(right, f"'{key}' is not the reply of {client} to the plan of round {base}.")
    said = {client: closed["bases"].get(client) for client in closed["clients"]}
    result.check(said == accepted, f"'{close_key(plan['round'])}' lists other clients than its replies are of.")


def _evaluation(run: Run, round: int, result: Verification) -> None:
    refused: Record = {}  # what the server refused is known, and counted nowhere
    for key in [metrics_key(round), *(evaluation_key(round, worker.name) for worker in run.job.workers)]:
        result.known |= {key} & {evaluation_key(round, name) for name in refused}
        record = _record(run, key, result) if run.store.exists(key) and key not in result.known else None
        refused |= (record or {}).get("refused", {}) if key == metrics_key(round) else {}
        if record is not None and run.store.exists(state_key(round)):
            result.check(record.get("state") == run.digest(state_key(round)), f"'{key}' measured another state than '{state_key(round)}'.")


def _replies(run: Run, plan: Record, closed: Record, state_kept: bool, result: Verification) -> None:
    """The replies of a closed round: each as it was accepted, and together the next state."""
    round, whole = plan["round"], state_kept
    for key, digest in closed["replies"].items():
        if not run.store.exists(key):
            whole = False
            continue
        result.known.add(key)
        data = run.store.get(key)
        if sha256(data) != digest:
            result.found.append(f"'{key}' is not the reply that round {round} was closed with; it was changed.")
            whole = False
        else:
            _try(result, key, lambda: run.check_tensors(data, key))  # noqa: B023
    for trip in run.strategy.exchanges[:-1]:
        key = message_key(round, trip.name)
        if run.store.exists(key):
            result.known.add(key)
            _try(result, key, lambda: _message(run, key, result))  # noqa: B023
    if not whole or not run.store.exists(state_key(round + 1)):
        result.not_kept.append(round)
        return
    again = _try(result, state_key(round), lambda: encode_state(next_state(run, plan, merge(run, closed, run.strategy.exchanges[-1]))))
    if again is not None:
        result.replayed.append(round)
        result.check(again == bytes(run.store.get(state_key(round + 1))), f"'{state_key(round + 1)}' is not what the replies of round {round} add up to.")


def _message(run: Run, key: str, result: Verification) -> None:
    """What the server said between two exchanges; no other record names its digest."""
    data = run.store.get(key)
    tensors, record = run.check_tensors(data, key)
    result.check(encode_tensors(tensors, record) == bytes(data), f"'{key}' is not written as the server writes it; it was changed.")


def _end(run: Run, result: Verification) -> None:
    """The last state, the journal, and what was derived from the records."""
    last = run.last_round()
    state = _try(result, state_key(last), lambda: run.state(last)) if last else None
    result.digest = digest_weights(state.weights) if state is not None else ""
    summary = _record(run, "summary.json", result) if run.store.exists("summary.json") else None
    if run.store.exists(JOURNAL):
        place = find_break(bytes(run.store.get(JOURNAL)), (summary or {}).get("journal", {}), lambda data: is_signed(run, data))
        result.check(place is None, f"'{JOURNAL}' was changed {place}.")
    if run.store.exists(REPORT):
        result.known.add(REPORT)
    if summary is None:
        return
    if run.store.exists(REPORT):
        page = _try(result, REPORT, lambda: render(run).encode(errors="replace"))
        same = page is None or page == bytes(run.store.get(REPORT))
        result.check(
            same, f"'{REPORT}' is not what this version makes of the records: it was changed, or another version wrote it; `fl report` writes it anew."
        )
    result.check(summary["digest"] == result.digest, f"'{state_key(last)}' has the digest {result.digest[:16]}…, the summary says {summary['digest'][:16]}….")
    for key, digest in summary["files"].items():
        result.known.add(key)
        result.check(
            run.store.exists(key) and run.digest(key) == digest, f"'{key}' is not the file that the summary names; it was changed after the run ended."
        )
    table = _try(result, "metrics.jsonl", lambda: b"".join(encode_record(row) + b"\n" for row in rows(run)))
    result.check(table is None or sha256(table) == summary["files"]["metrics.jsonl"], "'metrics.jsonl' does not say what the rounds' records say.")


def _strangers(run: Run, result: Verification) -> None:
    """What lies there and is not part of the run."""
    for key in run.store.list(""):
        if key in result.known or key in UNSIGNED:
            continue
        if key in result.asked_for:  # a reply that came after its round was closed, or that was refused
            continue
        result.found.append(f"'{key}' is not part of the run.")


def sentence(result: Verification) -> str:
    """What was verified, in one line."""
    kept = f"rounds {_ranges(result.replayed)} merged again" if result.replayed else "no round kept both state and replies, so none was merged again"
    return f"digest {result.digest}; {kept}; of {len(result.not_kept)} rounds the replies or states were not kept, their signatures and chain were checked."


def _ranges(numbers: list[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
