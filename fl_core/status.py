"""Where a run stands, read from the store alone: rounds, workers, who is waited for. Nothing of the run's code is run for it, because anybody may ask."""

from typing import Any

from fl_core.codec import decode_record
from fl_core.flight import flying
from fl_core.run_folder import Run, card_key, close_key, evaluation_key, plan_key
from fl_core.seat import STATUS
from fl_core.worker import must_evaluate, tasks_of

ANY_EXCHANGE = ""


def status_of(run: Run) -> dict[str, Any]:
    """Name, status (starting, running, stopped, finished), rounds closed, and of each worker its standing."""
    last = run.last_round()
    plan = run.find(plan_key(last)) if last else None
    said = decode_record(run.store.get(STATUS), STATUS) if run.store.exists(STATUS) else {"status": "running", "why": ""}
    finished = run.store.exists("summary.json")
    return {
        "name": run.name, "status": "finished" if finished else "starting" if not last else said["status"], "why": said["why"],
        "rounds": run.job.rounds, "rounds_closed": max(last - 1, 0), "round": last,
        **({"in_flight": flying(plan)} if plan and "in_flight" in plan else {}),
        "workers": [{"name": section.name, "standing": _standing(run, section.name, last, plan)} for section in run.job.workers],
    }  # fmt: skip


def _standing(run: Run, worker: str, round: int, plan: dict[str, Any] | None) -> str:
    if not run.store.exists(card_key(worker)):
        return "has not arrived"
    if plan is None:
        due = round and worker == run.job.workers[0].name and must_evaluate(run, round) and not run.store.exists(evaluation_key(round, worker))
        return "is waited for: evaluation" if due else "waits for the plan"
    if plan["finished"]:
        return "is done"
    if "in_flight" in plan:
        return _at_work(run, worker, plan)
    tasks = tasks_of(plan, ANY_EXCHANGE, [worker])
    there = _parts_there(run, round, worker)
    if not tasks:
        return f"has no clients in round {round}"
    if len(there) == len(tasks) or run.store.exists(close_key(round)):
        return f"has replied in round {round}"
    return f"is waited for: {len(there)} of {len(tasks)} parts of round {round} are there"


def _at_work(run: Run, worker: str, plan: dict[str, Any]) -> str:
    """Where arrivals are measured: for whom of the worker's clients the server waits, and since when."""
    bases = flying(plan)
    begun = [run.record(plan_key(base)) for base in sorted(set(bases.values()))]
    tasks = [task for one in begun for task in tasks_of(one, ANY_EXCHANGE, [worker]) if bases.get(task.clients[0]) == task.round]
    if not tasks:
        return f"has no clients in flight in round {plan['round']}"
    there = {one["round"]: _parts_there(run, one["round"], worker) for one in begun}
    awaited = [f"{task.clients[0]} since round {task.round}" for task in tasks if task.part not in there[task.round]]
    return f"has in flight: {', '.join(awaited)}" if awaited else f"has replied in round {plan['round']}"


def _parts_there(run: Run, round: int, worker: str) -> set[int]:
    """The parts of the round to which the worker has replied, in any exchange."""
    words = (key.split("/") for key in run.store.list(f"rounds/{round:04d}/"))
    return {int(word[4].removesuffix(".safetensors")) for word in words if len(word) == 5 and word[3] == worker}
