"""Who is in flight: the clients of an asynchronous strategy that started in a round and neither arrived nor were left out since. It follows from the plans
and close records alone, so that any process may die and be started again."""

from fl_core.codec import Record
from fl_core.run_folder import Run, close_key, plan_key
from fl_core.types import Task
from fl_core.worker import key_of, tasks_of


def in_flight(run: Run, round: int) -> dict[str, int]:
    """The clients that are at work since an earlier round when this one is planned, each with the round that it started in."""
    if round == 1:
        return {}
    closed = run.record(close_key(round - 1))
    gone = {*closed["clients"], *(entry["client"] for entry in closed["left_out"])}
    return {client: base for client, base in flying(run.record(plan_key(round - 1))).items() if client not in gone}


def flying(plan: Record) -> dict[str, int]:
    """All clients that may arrive in a planned round, old and new, each with the round that it started in."""
    started = {client: plan["round"] for parts in plan["workers"].values() for clients in parts for client in clients}
    return {**plan["in_flight"], **started}


def tasks_in_flight(run: Run, plan: Record) -> list[Task]:
    """The tasks whose replies may arrive in a planned round, the oldest first; each is one client's and belongs to the plan that it started in."""
    bases, exchange = flying(plan), run.strategy.exchanges[0].name
    begun = (run.record(plan_key(base)) for base in set(bases.values()))
    tasks = [task for one in begun for task in tasks_of(one, exchange, list(one["workers"])) if bases.get(task.clients[0]) == task.round]
    return sorted(tasks, key=lambda task: (task.round, key_of(task)))
