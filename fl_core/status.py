"""Where a run stands, read from the store alone: rounds, workers, who is waited for. Nothing of the run's code is run for it, because anybody may ask."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from fl_core.codec import decode_record
from fl_core.flight import flying
from fl_core.journal import read_journal
from fl_core.run_folder import Run, card_key, close_key, evaluation_key, metrics_key, plan_key, state_key
from fl_core.seat import STATUS
from fl_core.worker import is_measured, measures, newly_due, tasks_of

ANY_EXCHANGE = ""


def status_of(run: Run) -> dict[str, Any]:
    """Name, status (starting, running, stopped, finished), rounds closed, when the run last gave a sign of life, and of each worker its standing."""
    last = run.last_round()
    plan = run.find(plan_key(last)) if last else None
    there = set(run.store.list("rounds/"))
    said = decode_record(run.store.get(STATUS), STATUS) if run.store.exists(STATUS) else {"status": "running", "why": ""}
    finished = run.store.exists("summary.json")
    return {
        "name": run.name, "status": "finished" if finished else "starting" if not last else said["status"], "why": said["why"],
        "rounds": run.job.rounds, "rounds_closed": max(last - 1, 0), "round": last, "last_sign": _last_sign(run),
        **({"in_flight": flying(plan)} if plan and "in_flight" in plan else {}),
        "workers": [{"name": section.name, "standing": _standing(run, section.name, last, plan, there)} for section in run.job.workers],
    }  # fmt: skip


def _last_sign(run: Run) -> str | None:
    """The time of the journal's newest line, which who died writes no more; None before the first."""
    times = [time for event in read_journal(run) if (time := _time_of(event))]
    return max(times).isoformat(timespec="milliseconds") if times else None


def _time_of(event: Any) -> datetime | None:
    """The time of a line of the journal, which anybody may have written; None where it tells none."""
    try:
        time = datetime.fromisoformat(event["time"])
    except (KeyError, TypeError, ValueError):
        return None
    return time if time.tzinfo else None


def _standing(run: Run, worker: str, round: int, plan: dict[str, Any] | None, there: Collection[str]) -> str:
    """`there` are the keys of all rounds."""
    if not run.store.exists(card_key(worker)):
        return "has not arrived: it is not started yet, or refused the job and left, which only its own output tells"
    if plan is None:
        arrivals_are_measured = "in_flight" in (run.find(plan_key(round - 1)) or {})
        due = _unmeasured(run, worker, newly_due(run.job, round, arrivals_are_measured), there)
        return f"is waited for: evaluation of {_rounds(due)}" if due else "waits for the plan"
    if plan["finished"]:
        return "is done"
    if "in_flight" in plan:
        due = _unmeasured(run, worker, range(1, round), there)
        return _at_work(run, worker, plan, there) + (f", and has yet to measure {_rounds(due)}" if due else "")
    tasks = tasks_of(plan, ANY_EXCHANGE, [worker])
    replies = _parts_there(there, round, worker)
    if not tasks:
        return f"has no clients in round {round}"
    if len(replies) == len(tasks) or close_key(round) in there:
        return f"has replied in round {round}"
    return f"is waited for: {len(replies)} of {len(tasks)} parts of round {round} are there"


def _unmeasured(run: Run, worker: str, rounds: Iterable[int], there: Collection[str]) -> list[int]:
    """The rounds whose first state is there and is this worker's to measure yet."""
    if not measures(run, worker):
        return []
    kept = (round for round in rounds if is_measured(run.job, round) and state_key(round) in there and metrics_key(round) not in there)
    return [round for round in kept if evaluation_key(round, worker) not in there]


def _rounds(numbers: list[int]) -> str:
    return f"round {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} rounds, {numbers[0]} to {numbers[-1]}"


def _at_work(run: Run, worker: str, plan: dict[str, Any], there: Collection[str]) -> str:
    """Where arrivals are measured: for whom of the worker's clients the server waits, and since when."""
    bases = flying(plan)
    begun = [run.record(plan_key(base)) for base in sorted(set(bases.values()))]
    tasks = [task for one in begun for task in tasks_of(one, ANY_EXCHANGE, [worker]) if bases.get(task.clients[0]) == task.round]
    if not tasks:
        return f"has no clients in flight in round {plan['round']}"
    replies = {one["round"]: _parts_there(there, one["round"], worker) for one in begun}
    awaited = [f"{task.clients[0]} since round {task.round}" for task in tasks if task.part not in replies[task.round]]
    return f"has in flight: {', '.join(awaited)}" if awaited else f"has replied in round {plan['round']}"


def _parts_there(there: Collection[str], round: int, worker: str) -> set[int]:
    """The parts of the round to which the worker has replied, in any exchange."""
    words = (key.split("/") for key in there if key.startswith(f"rounds/{round:04d}/"))
    return {int(word[4].removesuffix(".safetensors")) for word in words if len(word) == 5 and word[3] == worker}
