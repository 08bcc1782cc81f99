"""What would leave an organisation's house if its worker took part: files, fields and bytes; nothing is sent."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from fl_core import generator
from fl_core.codec import encode_state
from fl_core.federation import clients_of, worker_section
from fl_core.job import Job
from fl_core.journal import JOURNAL
from fl_core.pool import Call, Pool
from fl_core.run_folder import card_key, state_key
from fl_core.store import Store
from fl_core.strategy import Exchange, load_strategy
from fl_core.types import RoundState

SIGNED = "names of run, round, exchange, worker and part; digests of plan and tensors; signature"
WORK = "names of stages, rounds, parts and this worker; seconds, process ids, the time; the client and the reason where a training process died; signature"
Entry = dict[str, Any]


def what_leaves(job: Job, worker: str, pool: Pool, root: Store | None = None) -> Entry:
    """Each file that the worker writes, with its fields and about how many bytes: the data card as it would be written, then what depends on the rounds."""
    is_first = worker_section(job, worker).name == job.workers[0].name
    state, _ = generator.check(job, pool, root=root)
    card = generator.call(pool, Call("card", {"worker": worker}))
    files: list[Entry] = [{"key": card_key(worker), "content": card, "fields": {"more": ["public key", "signature"]}, "bytes": len(json.dumps(card))}]
    if is_first:
        files[0]["fields"]["more"].append("numerics of this machine, and which way the program's metrics are better")
        files.append({"key": state_key(1), "fields": {"weights": sorted(state.weights), "memory": sorted(state.memory)}, "bytes": len(encode_state(state))})
    files += [_reply(job, worker, trip, state) for trip in load_strategy(job).exchanges]
    measured = _measured(job, is_first, bool(clients_of(card)))
    if measured:
        files.append({"key": f"rounds/<round>/evaluate/{worker}.json", "fields": measured})
    files.append({"key": JOURNAL, "fields": {"of each event of this worker": WORK}})
    return {"worker": worker, "leaves": files, "stays": ["examples", "private key", "clients' memory"]}


def _reply(job: Job, worker: str, trip: Exchange, state: RoundState) -> Entry:
    """A reply: a sum over a part's clients takes 4 bytes a number where it fits, else 8; apart, each client's numbers are as wide as they are."""
    sent = trip.expects(state)
    numbers, plain = sum(np.asarray(value).size for value in sent.values()), sum(np.asarray(value).nbytes for value in sent.values())
    least, most = (4 * numbers, 8 * numbers) if trip.form == "sum" else (plain, plain)
    return {
        "key": f"rounds/<round>/{trip.name}/{worker}/<part>.safetensors",
        "fields": {
            "sum over the part's clients, which is the client's own where a part has one" if trip.form == "sum" else "update of each client": sorted(sent),
            "of each client": ["name", f"weight ({_weight(trip)})", "mean training loss", "examples seen", *_around(job)],
            "of a client that failed": ["name", "reason"],
            "of the part": SIGNED,
        },
        "bytes_at_least": least, "bytes_at_most": most, "bytes_are_per": "part" if trip.form == "sum" else "client",
    }  # fmt: skip


def _weight(trip: Exchange) -> str:
    return "its number of examples" if trip.weigh == "examples" else "the same for each"


def _measured(job: Job, is_first: bool, has_clients: bool) -> Entry:
    """What the worker's evaluation of a state says; nothing where it has none to do."""
    test: Entry = {"of the test set": ["examples", "mean metrics"]} if is_first and job.evaluate.on != "held_out" else {}
    return test | ({"of each client": ["name", "held-out examples", "mean metrics"]} if has_clients and job.evaluate.on != "test" else {})


def _around(job: Job) -> Sequence[str]:
    return ["metrics on its held-out part before and after training"] if job.evaluate.around_training else []
