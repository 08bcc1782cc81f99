"""Receipts: the small facts that a pipeline task leaves about what it wrote into the store."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from fl_core.codec import Record, decode_tensors, sha256
from fl_core.evaluation import evaluation_of
from fl_core.reply import Unacceptable
from fl_core.run_folder import Run, close_key, state_key
from fl_core.summary import examples_of, held_out_metrics


def receipt_of_replies(run: Run, keys: Sequence[str]) -> Record:
    """Digest over the replies, examples seen, clients and clients left out; of replies that are still there."""
    records = [decode_tensors(run.store.get(key), key)[1] for key in keys]
    clients = {client: figures["metrics"] for record in records for client, figures in record["clients"].items()}
    return {
        "digest": sha256("\n".join(run.digest(key) for key in keys).encode()),
        "clients": len(clients),
        "left_out": sum(len(record["failures"]) for record in records),
        "examples": examples_of({"clients": clients}),
    }


def receipt_of_state(run: Run, round: int) -> Record:
    """Of the state that a closed round led to: its digest, the round's clients and examples. Where the job ended before, of the last state."""
    closed = run.find(close_key(round)) or {"clients": {}, "left_out": []}
    last = min(round + 1, run.last_round())
    return {
        "state": last,
        "digest": run.digest(state_key(last)),
        "clients": len(closed["clients"]),
        "left_out": len(closed["left_out"]),
        "examples": examples_of(closed),
    }


def measured(run: Run, round: int, worker: str) -> Mapping[str, float]:
    """The metrics that a worker found of the round's first state; none where it had nothing to measure, or what lies there is refused."""
    found: Record = {}
    with suppress(Unacceptable):
        found = evaluation_of(run, round, worker) or {}
    return {**held_out_metrics(found.get("clients", {})), **found.get("test", {}).get("metrics", {})}
