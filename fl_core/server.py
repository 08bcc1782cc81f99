"""FL-Server: closes a round once and for all and merges the accepted replies into the next state. It needs no Paddle."""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from fl_core.codec import Record, decode_tensors, sha256
from fl_core.errors import InputError, KeyMissing, QuorumError, SignatureError
from fl_core.job import Job
from fl_core.journal import journal
from fl_core.merging import Merging, apart, merge
from fl_core.run_folder import Run, close_key, message_key, plan_key, reply_key, state_key
from fl_core.strategy import Exchange, why_not_finite, why_unexpected
from fl_core.types import Form, ModelUpdate, RoundState, Weights
from fl_core.worker import key_of, states_of, tasks_of

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
    states: dict[str, str] = {}


def close(run: Run, round: int) -> Record | None:
    """Closes the round and writes the next state; None where the plan says that the job is finished. QuorumError below the quorum."""
    plan = run.record(plan_key(round))
    if plan["finished"]:
        return None
    exchange = run.strategy.exchanges[-1]
    record = run.find(close_key(round))
    if record is None:
        record, update = _decide_with_quorum(run, plan, exchange)
        record = run.put(close_key(round), record)
        journal(run, "closed", round=round, stage="close", clients=len(record["clients"]), left_out=len(record["left_out"]))
        run.put_state(next_state(run, plan, update))
    elif not run.store.exists(state_key(round + 1)) and not run.store.exists(close_key(round + 1)):  # an older state may be forgotten
        run.put_state(next_state(run, plan, merge(run, record, exchange)))
    return record


def aggregate(run: Run, round: int, exchange: int) -> Record | None:
    """The server's part after an exchange: the message of the next, or after the last the close."""
    if exchange + 1 == len(run.strategy.exchanges):
        record = close(run, round)
        if record is not None and run.store.exists(state_key(round + 1)):
            forget(run, round)
        return record
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
    record, update = _decide_with_quorum(run, plan, trip)
    run.put_tensors(key, trip.at_server(state, update), {"run": run.name, "round": round, "plan": record["plan"]})


def next_state(run: Run, plan: Record, update: ModelUpdate) -> RoundState:
    """What the accepted replies make of the round's state; without any client the state is passed on."""
    state = run.state(plan["round"], plan["state"])
    return run.strategy.apply(state, update) if update.clients else state.next()


def decide(run: Run, plan: Record, exchange: Exchange) -> tuple[Record, ModelUpdate]:
    """Which replies are accepted, by digest, and who is left out and why; and the accepted ones as one update. Each reply is read once."""
    replies: dict[str, str] = {}
    clients: dict[str, Any] = {}
    left_out = [{"client": c, "worker": run.population.worker_of(c), "reason": _why_late(run, plan, base)} for c, base in plan.get("late", {}).items()]
    merging, expected = Merging(exchange.form), exchange.expects(run.state(plan["round"]))
    for task in tasks_of(plan, exchange.name, list(plan["workers"])):
        key = reply_key(task.round, task.exchange, task.worker, task.part)
        try:
            data = run.store.get(key)
            tensors, reply = _checked(run, plan, exchange.form, expected, task.clients, data, key)
        except (KeyMissing, Unacceptable) as error:
            reason = NO_REPLY if isinstance(error, KeyMissing) else str(error)
            left_out += [{"client": c, "worker": task.worker, "reason": reason} for c in task.clients]
            continue
        merging.add(tensors, reply)
        replies[key] = sha256(data)
        clients |= {c: figures["metrics"] for c, figures in reply["clients"].items()}
        left_out += [{"client": c, "worker": task.worker, "reason": why} for c, why in sorted(reply["failures"].items())]
    record = {
        "run": run.name, "round": plan["round"], "plan": run.digest(plan_key(plan["round"])), "replies": replies,
        "clients": dict(sorted(clients.items())), "left_out": left_out,
    }  # fmt: skip
    return record, merging.update(tuple(record["clients"]), len(run.population.clients))


def _why_late(run: Run, plan: Record, base: int) -> str:
    return f"it started {plan['round'] - base} rounds ago, from round {base}; strategy.staleness_max is {run.strategy.staleness_max}"


class Unacceptable(ValueError):
    """Why a reply is not accepted as a whole."""


def _checked(
    run: Run, plan: Record, form: Form, expected: Weights, asked: tuple[str, ...], data: bytes | memoryview, key: str
) -> tuple[Weights, Record]:  # fmt: skip
    """A reply's tensors and record; Unacceptable where it is not what was asked for."""
    try:
        tensors, reply = run.check_tensors(data, key)
        ReplyRecord.model_validate(reply)
    except (InputError, SignatureError) as error:
        raise Unacceptable(f"its reply was refused: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise Unacceptable(f"its reply was refused: '{'.'.join(map(str, first['loc']))}' is not what a reply holds") from error
    if (reply["run"], reply["round"], reply["form"]) != (run.name, plan["round"], form) or reply["plan"] != run.digest(plan_key(plan["round"])):
        raise Unacceptable("its reply is for another round")
    if sorted([*reply["clients"], *reply["failures"]]) != sorted(asked):
        raise Unacceptable("its reply is for other clients")
    if reply.get("states", {}) != states_of(plan, asked):
        raise Unacceptable("its reply starts from other states than the plan names")
    why = _why_not_merged(form, tensors, reply, expected)
    if why:
        raise Unacceptable(why)
    return tensors, reply


def _why_not_merged(form: Form, tensors: Weights, reply: Record, expected: Weights) -> str | None:
    """Why the tensors of a reply cannot be merged, None where they can; a worker may send anything."""
    if form == "list":
        reasons = ((client, why_unexpected(move, expected) or why_not_finite(move, weight)) for client, move, weight in apart(tensors, reply))
        return next((f"{client}: {why}" for client, why in reasons if why), None)
    if form == "sum" and reply["clients"]:
        odd = next((f"its sum of '{name}' holds {value.dtype}, not int64" for name, value in tensors.items() if value.dtype != np.int64), None)
        return odd or why_unexpected(tensors, expected)
    return None


def _decide_with_quorum(run: Run, plan: Record, exchange: Exchange) -> tuple[Record, ModelUpdate]:
    record, update = decide(run, plan, exchange)
    _check_quorum(run, plan, record, exchange)
    return record, update


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


def forget(run: Run, round: int) -> None:
    """Removes, once a round is closed and its next state there, what the job does not keep: replies to closed rounds, states between the kept ones.

    The two newest states stay, and those from which clients of an asynchronous strategy may still start.
    """
    old = {"all": 0, "none": round, "last_round": round - 1}[run.job.keep_updates]
    gone = [key for exchange in run.strategy.exchanges for key in _of_exchange(run, old, exchange.name)] if old else []
    last = round - 1 - run.strategy.staleness_max
    if last > 1 and (last - 1) % keep_every(run.job, len(run.read(state_key(round + 1)))):
        gone.append(state_key(last))
    run.store.delete(*gone)


def _of_exchange(run: Run, round: int, exchange: str) -> list[str]:
    """All that an exchange of a planned round may have left, there or not."""
    plan = run.record(plan_key(round))
    return [key_of(task) for task in tasks_of(plan, exchange, list(plan["workers"]))] + [message_key(round, exchange)]


def keep_every(job: Job, state_bytes: int) -> int:
    """Every how many rounds a state is kept: what the job says, or as often as a gigabyte allows."""
    if job.keep_states == "all":
        return 1
    if job.keep_states != "auto":
        return job.keep_states
    return max(1, -(-job.rounds * state_bytes // KEPT_STATES_BYTES))
