"""Verifies a run offline, from its folder alone: signatures, digests, the chain from the manifest to the last state, and the sums themselves.

What the run kept is checked again: the replies of a round are merged anew and must give the next state byte for byte. What it did not keep is said.
The user's strategy is run for that, after its sha256 was found to be the one that the server signed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fl_core.codec import Record, decode_record, decode_tensors, digest_weights, encode_record, encode_state, encode_tensors, sha256
from fl_core.errors import FederationError, KeyMissing
from fl_core.extent import Extent, extent_of
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
from fl_core.sentence import ranges
from fl_core.server import next_state
from fl_core.signing import check_public_key
from fl_core.store import DictStore, Store
from fl_core.summary import rows
from fl_core.worker import key_of, tasks_of

UNSIGNED = {"status.json", JOURNAL}
SUMMARY = "summary.json"
DERIVED = {"model.safetensors", "metrics.jsonl"}


@dataclass
class Verification:
    """What was found wrong (what is missing first), what rests on something missing and was thus not to be judged, which rounds were merged again, and how
    far the run came. It is filled as the run is walked."""

    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    resting: list[str] = field(default_factory=list)
    replayed: list[int] = field(default_factory=list)
    not_kept: list[int] = field(default_factory=list)
    server_key: str = ""
    digest: str = ""
    finished: bool = False
    rounds: int = 0
    rounds_max: int = 0
    known: set[str] = field(default_factory=set)
    asked_for: set[str] = field(default_factory=set)

    @property
    def good(self) -> bool:
        return not self.found

    def check(self, right: bool, sentence: str) -> None:
        if not right:
            self.found.append(sentence)

    def check_effect(self, right: bool, sentence: str) -> None:
        """As `check`, of what cannot be right where something that it is made of is missing."""
        if not right:
            (self.resting if self.missing else self.found).append(sentence)

    def miss(self, key: str) -> None:
        """Notes, before all else, that something is not there that was."""
        if key not in self.missing:
            self.missing.append(key)
            self.found.insert(len(self.missing) - 1, f"'{key}' is missing.")


def verify(store: Store, server_key: str | None = None) -> Verification:
    """Walks the run in the store; `server_key` is the server's public key as it was got elsewhere, None to take the run's own. A run of another server is
    not walked: to merge its replies anew is to run its strategy. InputError where there is no run, or where `server_key` is no key."""
    if server_key is not None:
        check_public_key(server_key)
    result = Verification()
    try:
        run = open_at(store, DictStore({}), server_key=server_key or "")
        manifest, result.server_key = run.manifest, str(run.manifest["server_key"])
    except (FederationError, UnicodeDecodeError, KeyError) as error:
        if not store.exists(MANIFEST):
            raise
        result.found.append(str(error))
        return result
    result.known |= {MANIFEST, JOB, ROSTER, *(f"job/code/{name}" for name in manifest["code"])}
    summary = _record(run, SUMMARY, result) if run.store.exists(SUMMARY) else None
    extent, last = extent_of(run, summary), run.last_round()
    has_begun = run.store.exists(plan_key(1)) or extent.closed or extent.finished  # before, workers are yet to come together
    for key in [card_key(worker.name) for worker in run.job.workers]:
        if has_begun or run.store.exists(key):
            _record(run, key, result)
    result.finished, result.rounds, result.rounds_max = summary is not None, max(last - 1, 0), run.job.rounds
    before = run.digest(MANIFEST)
    for round in range(1, max(last, extent.closed + 1) + 1):
        closed = _round(run, round, before, extent, result)
        if closed is None:
            break
        before = run.digest(close_key(round))
    if last < extent.closed + extent.finished and not result.missing:
        result.miss(state_key(extent.closed + extent.finished))
    for round in range(last + 1, run.job.rounds + 2):  # a pipeline plans its later rounds, too, as finished
        if result.missing or not run.store.exists(plan_key(round)):
            break
        plan = _record(run, plan_key(round), result)
        result.check(plan is None or plan["finished"], f"'{plan_key(round)}' plans a round that has no state to start from.")
    _end(run, summary, extent, result)
    _strangers(run, result)
    return result


def _try(result: Verification, key: str, what: Callable[[], Any]) -> Any:
    """The value, or None and a finding that names the key."""
    try:
        return what()
    except KeyMissing as error:
        result.miss(error.key)
    except (FederationError, KeyError, TypeError, ValueError) as error:
        text = str(error)
        result.found.append(text if key in text else f"'{key}': {text}")
    return None


def _record(run: Run, key: str, result: Verification) -> Record | None:
    result.known.add(key)
    found: Record | None = _try(result, key, lambda: run.record(key))
    return found


def _round(run: Run, round: int, before: str, extent: Extent, result: Verification) -> Record | None:
    """One round: its evaluation, plan, state, close record and replies; None after the last."""
    _evaluation(run, round, result)
    if not run.store.exists(plan_key(round)):
        result.known.add(state_key(round))
        if round < extent.closed + 1 or extent.finished:
            result.miss(plan_key(round))
        return None
    plan = _record(run, plan_key(round), result)
    if plan is None:
        return None
    result.check(plan.get("run") == run.name and plan.get("round") == round, f"'{plan_key(round)}' is the plan of another round.")
    result.check(plan.get("previous") == before, f"'{plan_key(round)}' does not follow from what is there before it; one of the two was swapped.")
    for worker, digest in plan.get("cards", {}).items():
        if not run.store.exists(card_key(worker)):
            result.miss(card_key(worker))
            continue
        result.check(run.digest(card_key(worker)) == digest, f"'{card_key(worker)}' is not the card that the plan of round 1 names.")
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
        if round <= extent.closed:
            result.miss(close_key(round))
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


def _end(run: Run, summary: Record | None, extent: Extent, result: Verification) -> None:
    """The last state, the journal, and what was derived from the records."""
    last = run.last_round()
    state = _try(result, state_key(last), lambda: run.state(last)) if last else None
    result.digest = digest_weights(state.weights) if state is not None else ""
    if run.store.exists(JOURNAL):
        place = find_break(bytes(run.store.get(JOURNAL)), (summary or {}).get("journal", {}), lambda data: is_signed(run, data))
        result.check(place is None, f"'{JOURNAL}' was changed {place}.")
    elif (summary or {}).get("journal"):
        result.miss(JOURNAL)
    if run.store.exists(REPORT):
        result.known.add(REPORT)
    if summary is not None:
        _derived(run, summary, last, result)
    elif extent.finished or any(run.store.exists(key) for key in DERIVED):
        result.miss(SUMMARY)


def _derived(run: Run, summary: Record, last: int, result: Verification) -> None:
    """The summary's digest, the files that it names, and the page."""
    result.check_effect(
        summary["digest"] == result.digest, f"'{state_key(last)}' has the digest {result.digest[:16]}…, the summary says {summary['digest'][:16]}…."
    )
    for key, digest in summary["files"].items():
        result.known.add(key)
        if not run.store.exists(key):
            result.miss(key)
            continue
        result.check(run.digest(key) == digest, f"'{key}' is not the file that the summary names; it was changed after the run ended.")
    if run.store.exists("metrics.jsonl") and run.digest("metrics.jsonl") == summary["files"]["metrics.jsonl"]:
        lines = [decode_record(line, "metrics.jsonl") for line in bytes(run.store.get("metrics.jsonl")).splitlines()]
        for key in [metrics_key(line["round"] + 1) for line in lines if line["metrics"]]:
            if not run.store.exists(key) and not result.missing:
                result.miss(key)
    table = _try(result, "metrics.jsonl", lambda: b"".join(encode_record(row) + b"\n" for row in rows(run)))
    result.check_effect(table is None or sha256(table) == summary["files"]["metrics.jsonl"], "'metrics.jsonl' does not say what the rounds' records say.")
    if run.store.exists(REPORT) and not any(key.startswith(("job/", "rounds/", JOURNAL)) for key in result.missing):  # the page is made of these
        page = _try(result, REPORT, lambda: render(run).encode(errors="replace"))
        same = page is None or page == bytes(run.store.get(REPORT))
        result.check(
            same, f"'{REPORT}' is not what this version makes of the records: it was changed, or another version wrote it; `fl report` writes it anew."
        )


def _strangers(run: Run, result: Verification) -> None:
    """What lies there and is not part of the run; what comes after something missing is not known to be."""
    beyond = min((key.rpartition("/")[0] for key in result.missing if key.startswith("rounds/")), default="s")
    for key in run.store.list(""):
        if key in result.known or key in UNSIGNED:
            continue
        if key in result.asked_for:  # a reply that came after its round was closed, or that was refused
            continue
        rests = key >= beyond if key.startswith("rounds/") else key in DERIVED and SUMMARY in result.missing
        (result.resting if rests else result.found).append(f"'{key}' is not part of the run.")


def sentence(result: Verification) -> str:
    """What was verified, in one line."""
    kept = f"rounds {ranges(result.replayed)} merged again" if result.replayed else "no round kept both state and replies, so none was merged again"
    return f"digest {result.digest}; {kept}; of {len(result.not_kept)} rounds the replies or states were not kept, their signatures and chain were checked."
