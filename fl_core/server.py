"""FL-Server: closes a round once and for all, merges the accepted replies into the next state, and finishes the run. It needs no Paddle."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from fl_core import exact
from fl_core.codec import Record, decode_tensors, digest_weights, encode_record, encode_tensors, sha256
from fl_core.errors import InputError, KeyMissing, KeyTaken, QuorumError, SignatureError
from fl_core.job import Job
from fl_core.journal import journal, tips
from fl_core.run_folder import Run, close_key, evaluation_key, message_key, metrics_key, plan_key, reply_key, state_key
from fl_core.strategy import Exchange, why_not_finite, why_unexpected
from fl_core.types import Form, ModelUpdate, RoundState, Weights
from fl_core.worker import tasks_of

NO_REPLY = "its worker gave no reply"
KEPT_STATES_BYTES = 1 << 30


class ClientFigures(BaseModel):
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=False)]]


class ReplyRecord(BaseModel):
    """What a reply's record must hold; a worker may send anything."""

    run: str
    round: int
    form: str
    plan: str
    clients: dict[str, ClientFigures]
    failures: dict[str, str]


def close(run: Run, round: int) -> Record | None:
    """Closes the round and writes the next state; None where the plan says that the job is finished. QuorumError below the quorum."""
    plan = run.record(plan_key(round))
    if plan["finished"]:
        return None
    exchange = run.strategy.exchanges[-1]
    record = run.find(close_key(round))
    if record is None:
        record = decide(run, plan, exchange)
        _check_quorum(run, plan, record, exchange)
        record = run.put(close_key(round), record)
        journal(run, "closed", round=round, stage="close", clients=len(record["clients"]), left_out=len(record["left_out"]))
    if not run.store.exists(state_key(round + 1)) and not run.store.exists(close_key(round + 1)):  # an older state may be forgotten
        _forget(run, round, run.put_state(next_state(run, plan, record, exchange)))
    return record


def aggregate(run: Run, round: int, exchange: int) -> Record | None:
    """The server's part after an exchange: the message of the next, or after the last the close."""
    if exchange + 1 == len(run.strategy.exchanges):
        return close(run, round)
    if not run.record(plan_key(round))["finished"]:
        answer(run, round, exchange)
    return None


def answer(run: Run, round: int, exchange: int) -> None:
    """Turns the replies of an exchange that is not the last into the message of the next, once."""
    trip, plan = run.strategy.exchanges[exchange], run.record(plan_key(round))
    key = message_key(round, trip.name)
    if run.store.exists(key) or trip.at_server is None:
        return
    state = run.state(round, plan["state"])
    record = decide(run, plan, trip)
    _check_quorum(run, plan, record, trip)
    run.put_tensors(key, trip.at_server(state, merge(run, state, record, trip)), {"run": run.name, "round": round, "plan": record["plan"]})


def next_state(run: Run, plan: Record, record: Record, exchange: Exchange) -> RoundState:
    """What the close record's replies make of the round's state; without any client the state is passed on."""
    state = run.state(plan["round"], plan["state"])
    if not record["clients"]:
        return state.next()
    return run.strategy.apply(state, merge(run, state, record, exchange))


def decide(run: Run, plan: Record, exchange: Exchange) -> Record:
    """Which replies are accepted, by digest, and who is left out and why."""
    replies: dict[str, str] = {}
    clients: dict[str, Any] = {}
    left_out: list[Record] = []
    expected = exchange.expects(run.state(plan["round"]))
    for task in tasks_of(plan, exchange.name, list(plan["workers"])):
        key = reply_key(task.round, task.exchange, task.worker, task.part)
        try:
            data = run.store.get(key)
        except KeyMissing:
            left_out += [{"client": c, "worker": task.worker, "reason": NO_REPLY} for c in task.clients]
            continue
        reason, reply = _why_refused(run, plan, exchange.form, expected, task.clients, data, key)
        if reason or reply is None:
            left_out += [{"client": c, "worker": task.worker, "reason": reason} for c in task.clients]
            continue
        replies[key] = sha256(data)
        clients |= {c: figures["metrics"] for c, figures in reply["clients"].items()}
        left_out += [{"client": c, "worker": task.worker, "reason": why} for c, why in sorted(reply["failures"].items())]
    return {
        "run": run.name, "round": plan["round"], "plan": run.digest(plan_key(plan["round"])), "replies": replies,
        "clients": dict(sorted(clients.items())), "left_out": left_out,
    }  # fmt: skip


def _why_refused(
    run: Run, plan: Record, form: Form, expected: Weights, asked: tuple[str, ...], data: bytes | memoryview, key: str
) -> tuple[str | None, Record | None]:
    """A reason not to accept a reply as a whole, or None and its record."""
    try:
        tensors, reply = run.check_tensors(data, key)
        ReplyRecord.model_validate(reply)
    except (InputError, SignatureError) as error:
        return f"its reply was refused: {error}", None
    except ValidationError as error:
        first = error.errors()[0]
        return f"its reply was refused: '{'.'.join(map(str, first['loc']))}' is not what a reply holds", None
    if (reply["run"], reply["round"], reply["form"]) != (run.name, plan["round"], form) or reply["plan"] != run.digest(plan_key(plan["round"])):
        return "its reply is for another round", None
    if sorted([*reply["clients"], *reply["failures"]]) != sorted(asked):
        return "its reply is for other clients", None
    why = _why_not_merged(form, tensors, reply, expected)
    return (why, None) if why else (None, reply)


def _why_not_merged(form: Form, tensors: Weights, reply: Record, expected: Weights) -> str | None:
    """Why the tensors of a reply cannot be merged, None where they can; a worker may send anything."""
    if form == "list":
        reasons = ((client, why_unexpected(move, expected) or why_not_finite(move, weight)) for client, move, weight in apart(tensors, reply))
        return next((f"{client}: {why}" for client, why in reasons if why), None)
    if form == "sum" and reply["clients"]:
        whole = {name: value for name, value in tensors.items() if value.dtype == np.int64}
        return why_unexpected(whole, expected)
    return None


def apart(tensors: Weights, reply: Record) -> Iterator[tuple[str, Weights, float]]:
    """The clients of a reply of form `list`, each with its move and weight."""
    moves: dict[str, dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        place, _, inner = name.partition(".")
        moves.setdefault(place, {})[inner] = value
    for number, (client, figures) in enumerate(reply["clients"].items()):
        yield client, moves.get(str(number), {}), figures["weight"]


def _check_quorum(run: Run, plan: Record, record: Record, exchange: Exchange) -> None:
    needed = max(math.ceil(run.job.quorum * plan["clients"]), exchange.least if plan["clients"] else 0)
    if len(record["clients"]) < needed:
        missing = "; ".join(f"{entry['client']} ({entry['worker']}): {entry['reason']}" for entry in record["left_out"][:10])
        more = len(record["left_out"]) - 10
        raise QuorumError(
            f"Round {plan['round']} has {len(record['clients'])} of {plan['clients']} clients, below the quorum of {needed}; missing are {missing}"
            + (f" and {more} more." if more > 0 else ".")
        )


def forget_failed_replies(run: Run, round: int) -> None:
    """Removes the replies of an unclosed round that left somebody out, so that a resumed run tries them again."""
    plan = run.find(plan_key(round))
    if plan is None or plan["finished"] or run.store.exists(close_key(round)):
        return
    for exchange in run.strategy.exchanges:
        for task in tasks_of(plan, exchange.name, list(plan["workers"])):
            key = reply_key(task.round, task.exchange, task.worker, task.part)
            if run.store.exists(key) and decode_tensors(run.store.get(key), key)[1]["failures"]:
                run.store.delete(key)


def merge(run: Run, state: RoundState, record: Record, exchange: Exchange) -> ModelUpdate:
    """The accepted replies as one update, read one at a time."""
    clients, population = tuple(record["clients"]), len(run.population.clients)
    if exchange.form == "list":
        moves: dict[str, Weights] = {}
        weights: dict[str, float] = {}
        for tensors, reply in accepted(run, record):
            for client, move, heaviness in apart(tensors, reply):
                moves[client], weights[client] = move, heaviness
        ordered = {c: moves[c] for c in clients}
        return ModelUpdate("list", clients, moves=ordered, weights={c: weights[c] for c in clients}, population=population)
    totals: dict[str, np.ndarray] = {}
    weight = 0
    for tensors, reply in accepted(run, record):
        if not reply["clients"]:
            continue
        if not totals:
            totals = exact.empty_totals(tensors)
        exact.add_totals(totals, tensors)
        weight += sum(figures["weight"] for figures in reply["clients"].values())
    return ModelUpdate(exchange.form, clients, total=totals, weight=weight, population=population)


def accepted(run: Run, record: Record) -> Iterator[tuple[Weights, Record]]:
    """The replies that a close record lists, checked against their digests."""
    for key, digest in sorted(record["replies"].items()):
        data = run.store.get(key)
        if sha256(data) != digest:
            raise InputError(f"'{key}' is not the reply that round {record['round']} was closed with; its sha256 differs.")
        yield decode_tensors(data, key)


def _forget(run: Run, round: int, state_bytes: int) -> None:
    """Removes what the job does not keep: replies to closed rounds, states between the kept ones. The two newest states stay."""
    keep = run.job.keep_updates
    old = {"all": [], "none": [round], "last_round": [round - 1]}[keep]
    for gone in (r for r in old if r >= 1):
        for exchange in run.strategy.exchanges:
            for key in run.store.list(f"rounds/{gone:04d}/{exchange.name}/"):
                run.store.delete(key)
    if round > 2 and (round - 2) % keep_every(run.job, state_bytes):
        run.store.delete(state_key(round - 1))


def keep_every(job: Job, state_bytes: int) -> int:
    """Every how many rounds a state is kept: what the job says, or as often as a gigabyte allows."""
    if job.keep_states == "all":
        return 1
    if job.keep_states != "auto":
        return job.keep_states
    return max(1, -(-job.rounds * state_bytes // KEPT_STATES_BYTES))


def merge_metrics(run: Run, round: int) -> Record | None:
    """The evaluation of the round's first state in one record, once all evaluations that it needs are there."""
    found = run.find(metrics_key(round))
    if found is not None:
        return found
    parts = [part for worker in run.job.workers if (part := _evaluation(run, round, worker.name)) is not None]
    if not parts:
        return None
    clients = {client: figures for part in parts for client, figures in part["clients"].items()}
    metrics = held_out_metrics(clients)
    for part in parts:
        metrics |= part.get("test", {}).get("metrics", {})
    return run.put(metrics_key(round), {"run": run.name, "round": round, "state": run.digest(state_key(round)), "metrics": metrics, "clients": clients})


def _evaluation(run: Run, round: int, worker: str) -> Record | None:
    """A worker's evaluation of the round's first state; SignatureError where it measured another state."""
    found = run.find(evaluation_key(round, worker))
    if found is not None and found["state"] != run.digest(state_key(round)):
        raise SignatureError(f"'{evaluation_key(round, worker)}' measured another state than round {round} starts from; the state was swapped.")
    return found


def held_out_metrics(clients: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Means over the clients' held-out examples (named as they are, unless a test set gives them too) and the 10th, 50th and 90th percentile over clients."""
    if not clients:
        return {}
    ordered = [clients[client] for client in sorted(clients)]
    examples = np.array([figures["examples"] for figures in ordered], np.float64)
    metrics: dict[str, float] = {}
    for name in ordered[0]["metrics"]:
        values = np.array([figures["metrics"][name] for figures in ordered], np.float64)
        mean = float((values * examples).sum() / examples.sum())
        metrics |= {name: mean, f"{name}_held_out": mean}
        metrics |= {f"{name}_p{p}": float(np.percentile(values, p)) for p in (10, 50, 90)}
    return metrics


def rows(run: Run) -> list[Record]:
    """What metrics.jsonl holds: one object a round, from the close records and evaluations."""
    result = []
    for round in range(1, run.last_round() + 1):
        measured = run.find(metrics_key(round))
        closed = run.find(close_key(round - 1)) if round > 1 else None
        row: Record = {"round": round - 1, "metrics": measured["metrics"] if measured else {}}
        if closed is not None:
            losses = [figures.get("loss") for figures in closed["clients"].values() if figures.get("loss") is not None]
            row |= {"clients": len(closed["clients"]), "left_out": len(closed["left_out"]), "examples": examples_of(closed)}
            row |= {"train_loss": float(np.mean(losses))} if losses else {}
        result.append(row)
    return result


def examples_of(closed: Record) -> int:
    """How many examples the accepted clients of a round trained on, each as often as it was seen."""
    return int(sum(figures.get("seen", 0) for figures in closed["clients"].values()))


def finish(run: Run, facts: Mapping[str, Any], publish: Callable[[Run, Record], Record] | None = None) -> Record:
    """Writes model, metrics and summary of a finished run, once; gives the summary, which says what became of the model where `publish` publishes it."""
    found = run.find("summary.json")
    if found is not None:
        return found
    last = run.last_round()
    merge_metrics(run, last)
    state = run.state(last)
    table = rows(run)
    failures = [
        {"round": round, **entry} for round in range(1, last) for entry in run.record(close_key(round))["left_out"]
    ]  # fmt: skip
    summary = {
        "name": run.job.name, "run": run.name, "rounds": last - 1, "digest": digest_weights(state.weights), "job_digest": run.job.digest,
        "metrics": table[-1]["metrics"], "examples": sum(row.get("examples", 0) for row in table), "failures": failures,
        "privacy": {"protected": False}, "reproducible": why_not_reproducible(run.job) or True, "numerics": run.facts.get("numerics", {}), **facts,
    }  # fmt: skip
    _put_anew(run, "model.safetensors", encode_tensors(state.weights, {"digest": summary["digest"], "name": run.job.name}))
    _put_anew(run, "metrics.jsonl", b"".join(encode_record(row) + b"\n" for row in table))
    if publish is not None:
        summary["published"] = publish(run, summary)
    files = {key: run.digest(key) for key in ("model.safetensors", "metrics.jsonl")}
    return run.put("summary.json", {**summary, "files": files, "journal": tips(run)})


def why_not_reproducible(job: Job) -> str | None:
    """Why another run of the job may end in other bits; None where it may not."""
    return "engine: batched (the bits depend on who is trained together)" if job.engine == "batched" else None


def _put_anew(run: Run, key: str, data: bytes) -> None:
    """Derived files may lie there from a finish that was cut short."""
    try:
        run.store.put(key, data)
    except KeyTaken:
        run.store.delete(key)
        run.store.put(key, data)
