"""What each role may do in the store, as policies in the language of MinIO and AWS IAM: a worker reads the job and writes its own replies, no more.

A policy cannot say "write once": a worker can overwrite its own reply. That is found, because the close record names each reply by its sha256.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.registry import SCHEME
from fl_core.s3 import LOG_END, PROBE, SEGMENTS
from fl_core.store import check_key
from fl_core.strategy import load_strategy

Policy = dict[str, Any]
SERVER, READER = "server", "reader"
FOR_ALL = ("job/*", "status.json", "rounds/*/plan.json", "rounds/*/state.safetensors", "rounds/*/close.json")
RESULTS = ("rounds/*/metrics.json", "summary.json", "metrics.jsonl", "report.html", "model.safetensors")
LOG = f"journal{LOG_END}{SEGMENTS}*"
CONFUSING = (SERVER, READER, "job", "plan", "close", "metrics", "status", "summary")


def policies(job: Job, bucket: str, prefix: str = "", run: str = "*") -> dict[str, Policy]:
    """A policy for each role: `server`, `reader` (who watches a run, but sees no replies), and each worker by its name.

    They hold in the store `s3://bucket/prefix` for all runs, or for one by name. InputError for wildcards in names, and for a worker or an exchange
    whose name a pattern would take for a record of the run.
    """
    workers, exchanges = [section.name for section in job.workers], [exchange.name for exchange in load_strategy(job).exchanges]
    _check_names(prefix, run, [*workers, *exchanges])
    store = f"{prefix}/" if prefix else ""
    here = f"{store}runs/{run}/"
    whole, probes = [f"{here}*", f"{store}models/*"], [store + PROBE, here + PROBE]
    results = [*(here + name for name in (*FOR_ALL, *RESULTS, LOG)), f"{store}models/*"]
    by_role = {SERVER: _policy(bucket, reads=whole, writes=[*whole, *probes], deletes=whole), READER: _policy(bucket, reads=results, lists=whole)}
    messages = [f"rounds/*/{exchange}/message.safetensors" for exchange in exchanges]
    for worker in workers:
        own = [here + name for name in _own(worker, exchanges)]
        first_state = [f"{here}rounds/0001/state.safetensors"] if worker == workers[0] else []
        reads = [*(here + name for name in (*FOR_ALL, *messages)), *own, *([f"{store}models/*"] if first_state and job.start_from.startswith(SCHEME) else [])]
        by_role[worker] = _policy(bucket, reads, writes=[*own, *first_state, here + LOG, *probes])
    return by_role


def _check_names(prefix: str, run: str, names: Iterable[str]) -> None:
    for word in [prefix] * bool(prefix) + [run] * (run != "*"):
        if set(check_key(word)) & set("*?$"):
            raise InputError(f"'{word}' holds a wildcard; a policy needs the plain name.")
    for name in names:
        if name in CONFUSING or set(name) & set("/*?$"):
            raise InputError(f"A worker or an exchange is called '{name}', which a policy cannot tell from other records of a run; give it another name.")


def _own(worker: str, exchanges: Sequence[str]) -> list[str]:
    """What a worker writes in a run: its data card, its replies and evaluations."""
    return [f"job/cards/{worker}.json", f"rounds/*/evaluate/{worker}.json", *(f"rounds/*/{exchange}/{worker}/*" for exchange in exchanges)]


def _policy(bucket: str, reads: Iterable[str], writes: Iterable[str] = (), deletes: Iterable[str] = (), lists: Iterable[str] | None = None) -> Policy:
    """Lists what it reads unless told otherwise: so an absent key is said to be absent, and not denied."""
    allowed = [("s3:GetObject", reads), ("s3:PutObject", writes), ("s3:DeleteObject", deletes)]
    statements: list[Policy] = [
        {"Effect": "Allow", "Action": [action], "Resource": [f"arn:aws:s3:::{bucket}/{name}" for name in names]} for action, names in allowed if names
    ]
    seen = {"StringLike": {"s3:prefix": list(reads if lists is None else lists)}}
    listing = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}"], "Condition": seen}
    return {"Version": "2012-10-17", "Statement": [*statements, listing]}
