"""What would leave an organisation's house if its worker took part: files, fields and bytes; nothing is sent."""

import json
from typing import Any

from fl_core import generator
from fl_core.federation import worker_section
from fl_core.job import Job
from fl_core.pool import Call, Pool
from fl_core.store import Store
from fl_core.strategy import load_strategy


def what_leaves(job: Job, worker: str, pool: Pool, root: Store | None = None) -> dict[str, Any]:
    """The data card as it would be written, and for each reply its key, its fields and about how many bytes."""
    worker_section(job, worker)
    state, _ = generator.check(job, pool, root=root)
    card = generator.call(pool, Call("card", {"worker": worker}))
    numbers = sum(int(value.size) for value in state.weights.values())
    replies = [
        {
            "key": f"rounds/<round>/{trip.name}/{worker}/<part>.safetensors",
            "fields": {
                "total of the parts' clients" if trip.form == "sum" else "update of each client": sorted(state.weights),
                "of each client": ["name", "weight (its number of examples)", "mean training loss", "examples seen", *_around(job)],
                "of a client that failed": ["name", "reason"],
            },
            "bytes": numbers * (8 if trip.form == "sum" else 4),
            "bytes_are_per": "part" if trip.form == "sum" else "client",
        }
        for trip in load_strategy(job).exchanges
    ]
    files: list[dict[str, Any]] = [{"key": f"job/cards/{worker}.json", "content": card, "bytes": len(json.dumps(card))}, *replies]
    if job.evaluate.on != "test":
        files.append({"key": f"rounds/<round>/evaluate/{worker}.json", "fields": {"of each client": ["name", "held-out examples", "mean metrics"]}})
    return {"worker": worker, "leaves": files, "stays": ["examples", "private key", "clients' memory"]}


def _around(job: Job) -> list[str]:
    return ["metrics on its held-out part before and after training"] if job.evaluate.around_training else []
