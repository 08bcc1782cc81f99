"""FL-Server: closes a round once and for all and merges the accepted replies into the next state. It needs no Paddle."""

import math

from fl_core.arrivals import Arrivals
from fl_core.codec import Record
from fl_core.errors import QuorumError
from fl_core.flight import flying, tasks_in_flight
from fl_core.job import Job
from fl_core.journal import journal
from fl_core.merging import merge
from fl_core.replies import Gathered, Replies
from fl_core.reply import Unacceptable, checked
from fl_core.run_folder import Run, close_key, message_key, plan_key, state_key
from fl_core.strategy import Exchange
from fl_core.types import ModelUpdate, RoundState, Task, Weights
from fl_core.worker import key_of, tasks_of

KEPT_STATES_BYTES = 1 << 30


def close(run: Run, round: int, gathered: Gathered | None = None) -> Record | None:
    """Closes the round and writes the next state; None where the plan says that the job is finished. QuorumError below the quorum. `gathered` is what
    whoever waited for the replies has taken already."""
    plan = run.record(plan_key(round))
    if plan["finished"]:
        return None
    exchange = run.strategy.exchanges[-1]
    record = run.find(close_key(round))
    if record is None:
        record, update = decide(run, plan, exchange, gathered)
        record = run.put(close_key(round), record)
        journal(run, "closed", round=round, stage="close", clients=len(record["clients"]), left_out=len(record["left_out"]))
        run.put_state(next_state(run, plan, update))
    elif not run.store.exists(state_key(round + 1)) and not run.store.exists(close_key(round + 1)):  # an older state may be forgotten
        run.put_state(next_state(run, plan, merge(run, record, exchange)))
    return record


def aggregate(run: Run, round: int, exchange: int, gathered: Gathered | None = None) -> Record | None:
    """The server's part after an exchange: the message of the next, or after the last the close."""
    if exchange + 1 == len(run.strategy.exchanges):
        record = close(run, round, gathered)
        if record is not None and run.store.exists(state_key(round + 1)):
            forget(run, round)
        return record
    if not run.record(plan_key(round))["finished"]:
        answer(run, round, exchange, gathered)
    return None


def answer(run: Run, round: int, exchange: int, gathered: Gathered | None = None) -> None:
    """Turns the replies of an exchange that is not the last into the message of the next, once."""
    trip, plan = run.strategy.exchanges[exchange], run.record(plan_key(round))
    key = message_key(round, trip.name)
    if run.store.exists(key) or trip.at_server is None:
        return
    state = run.state(round, plan["state"])
    record, update = decide(run, plan, trip, gathered)
    run.put_tensors(key, trip.at_server(state, update), {"run": run.name, "round": round, "plan": record["plan"]})


def next_state(run: Run, plan: Record, update: ModelUpdate) -> RoundState:
    """What the accepted replies make of the round's state; without any client the state is passed on."""
    state = run.state(plan["round"], plan["state"])
    return run.strategy.apply(state, update) if update.clients else state.next()


def decide(run: Run, plan: Record, exchange: Exchange, gathered: Gathered | None = None) -> tuple[Record, ModelUpdate]:
    """Which replies are accepted, and the accepted ones as one update; QuorumError where they are too few. `gathered` is what was taken already."""
    gathered = gathered or (Arrivals(run, plan) if run.strategy.buffer_size else Replies(run, plan, exchange))
    record, update = gathered.decided()
    _check_quorum(run, plan, record, exchange)
    return record, update


def _check_quorum(run: Run, plan: Record, record: Record, exchange: Exchange) -> None:
    asked = min(run.strategy.buffer_size, len(flying(plan))) if run.strategy.buffer_size else plan["clients"]
    needed = max(math.ceil(run.job.quorum * asked), exchange.least if asked else 0)
    if len(record["clients"]) < needed:
        missing = "; ".join(f"{entry['client']} ({entry['worker']}): {entry['reason']}" for entry in record["left_out"][:10])
        more = len(record["left_out"]) - 10
        raise QuorumError(
            f"Round {plan['round']} has {len(record['clients'])} of {asked} clients, below the quorum of {needed}; missing are {missing}"
            + (f" and {more} more." if more > 0 else ".")
        )


def forget_failed_replies(run: Run, round: int) -> None:
    """Removes the replies of an unclosed round that leave somebody out, themselves or because they are refused, so that a resumed run tries them again."""
    plan = run.find(plan_key(round))
    if plan is None or plan["finished"] or run.store.exists(close_key(round)):
        return
    for exchange in run.strategy.exchanges:
        expected = exchange.expects(run.state(round))
        for task in tasks_in_flight(run, plan) if run.strategy.buffer_size else tasks_of(plan, exchange.name, list(plan["workers"])):
            if run.store.exists(key_of(task)) and _leaves_out(run, exchange, expected, task):
                run.store.delete(key_of(task))


def _leaves_out(run: Run, exchange: Exchange, expected: Weights, task: Task) -> bool:
    key, begun = key_of(task), run.record(plan_key(task.round))
    try:
        _, reply = checked(run, begun, exchange.form, expected, task.clients, run.store.get(key), key)
    except Unacceptable:
        return True
    return bool(reply["failures"])


def forget(run: Run, round: int, *, late_ones: bool = False) -> None:
    """Removes, once a round is closed and its next state there, what the job does not keep: replies to closed rounds, states between the kept ones.

    The two newest states stay, and those from which clients of an asynchronous strategy may still start. `late_ones` looks for replies, too, that came after
    their rounds were closed, which takes a list of all rounds.
    """
    old = {"all": 0, "none": round, "last_round": round - 1}[run.job.keep_updates]
    left = _used_up if run.strategy.buffer_size else _left_by
    gone = left(run, old) if old else []
    gone += _late(run, old) if late_ones else []
    last = round - 1 - run.strategy.staleness_max
    if last > 1 and (last - 1) % keep_every(run.job, len(run.read(state_key(round + 1)))):
        gone.append(state_key(last))
    run.store.delete(*gone)


def _left_by(run: Run, round: int) -> list[str]:
    """All that the exchanges of a planned round may have left, there or not."""
    plan, names = run.record(plan_key(round)), [exchange.name for exchange in run.strategy.exchanges]
    replies = [key_of(task) for name in names for task in tasks_of(plan, name, list(plan["workers"]))]
    return replies + [message_key(round, name) for name in names]


def _used_up(run: Run, round: int) -> list[str]:
    """Where arrivals are measured: the replies that the round accepted, and all to the last plan whose clients can arrive no more."""
    begun = round - run.strategy.staleness_max
    return [*run.record(close_key(round))["replies"], *(_left_by(run, begun) if begun >= 1 else [])]


def _late(run: Run, round: int) -> list[str]:
    """The replies to rounds up to this one that are still there, but for those that may count in a later round."""
    last = round - (run.strategy.staleness_max if run.strategy.buffer_size else 0)
    return [key for key in run.store.list("rounds/") if key.count("/") == 4 and int(key.split("/")[1]) <= last]


def keep_every(job: Job, state_bytes: int) -> int:
    """Every how many rounds a state is kept: what the job says, or as often as a gigabyte allows."""
    if job.keep_states == "all":
        return 1
    if job.keep_states != "auto":
        return job.keep_states
    return max(1, -(-job.rounds * state_bytes // KEPT_STATES_BYTES))
