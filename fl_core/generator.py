"""FL-Job-Generator: turns a job file into what the roles start from: the job with its code and hashes, the roster, the first state."""

import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fl_core import registry
from fl_core.codec import decode_tensors, encode_record, encode_state, sha256, under
from fl_core.errors import FederationError, InputError
from fl_core.job import Job
from fl_core.pool import Call, Died, Pool
from fl_core.run_folder import JOB, MANIFEST, ROSTER, Run, card_key, state_key
from fl_core.sentence import ended
from fl_core.signing import SERVER, make_key
from fl_core.store import FileStore, Store
from fl_core.strategy import Strategy, load_strategy
from fl_core.types import RoundState, Weights


def check(job: Job, pool: Pool, given: Mapping[str, Any] | None = None, root: Store | None = None) -> tuple[RoundState, dict[str, Any]]:
    """The first state and facts of the process that made it; InputError where strategy, program or optimizer are wrong. Writes nothing.

    `root` is the store whose registry a job that starts from a published model speaks of.
    """
    strategy = (given or {}).get("strategy") or load_strategy(job)
    pool.about({"bundle": job.bundle()}, given)
    with tempfile.TemporaryDirectory(prefix="fl-") as folder:
        path = Path(folder) / "first.safetensors"
        facts = call(pool, Call("first_weights", {"path": str(path)}))
        weights: Weights = decode_tensors(path.read_bytes(), "the first weights")[0]
    if job.start_from.startswith(registry.SCHEME):
        found, began = registry.read_start(root, job.start_from)
        weights = _same_shapes(found, weights, job.start_from) if found is not None else weights
        facts |= {"started_from": began} if began else {}
    elif job.start_from:
        weights = _same_shapes(read_start(job.start_from), weights, job.start_from)
    return RoundState(1, weights, _first_memory(job, strategy, {name: weights[name] for name in facts["trainable"]})), facts


def _first_memory(job: Job, strategy: Strategy, trainable: Weights) -> Weights:
    try:
        return strategy.init(trainable)
    except FederationError:
        raise
    except Exception as error:
        raise InputError(f"The strategy '{job.strategy.name}' cannot make its first memory: {type(error).__name__}: {ended(str(error))}") from error


def call(pool: Pool, one: Call) -> dict[str, Any]:
    """The result of one call; what it raised, raised here."""
    ((_, outcome),) = pool.run([one])
    if isinstance(outcome, FederationError):
        raise outcome
    if isinstance(outcome, Died):
        raise FederationError(f"The stage '{one.operation}' ended early: {outcome.reason}.")
    return outcome


def write(run: Run, state: RoundState, facts: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Writes first state and job. Where the cards are there already, one process is the whole federation: its workers sign with keys made for the run."""
    run.store.put(state_key(1), encode_state(state))
    for worker, card in (cards or {}).items():
        run.put(card_key(worker), {**card, "public_key": make_key(run.private, worker)})
    write_job(run, keys="run" if cards else "roster", facts=facts)


def write_job(run: Run, **more: Any) -> None:
    """Writes the job whole, signed by the server; the manifest, which makes it a run, comes last."""
    store, job = run.store, run.job
    key = make_key(run.private, SERVER)
    store.put(JOB, job.text.encode())
    for name, text in job.code.items():
        store.put(f"job/code/{name}", text.encode())
    roster = encode_record({"workers": [worker.model_dump(exclude_none=True) for worker in job.workers]})
    store.put(ROSTER, roster)
    run.put(MANIFEST, {
        "run": run.name, "name": job.name, "digest": job.digest, "job": sha256(job.text.encode()), "code": job.code_sha256, "roster": sha256(roster),
        "program_sha256": job.program_sha256, "given": sorted(run.given), "server_key": key,
        "identity": uuid.uuid4().hex, **more,
    })  # fmt: skip


def read_start(start: str) -> Weights:
    """The weights to start from: a run folder's last state, a state, or a model file. Memory is left behind."""
    path = Path(start)
    try:
        if path.is_dir():
            run = Run(path.name, None, FileStore(path))  # type: ignore[arg-type]
            if not run.last_round():
                raise InputError(f"start_from is '{start}', a folder without a run.")
            return run.state(run.last_round()).weights
        tensors, record = decode_tensors(path.read_bytes(), f"'{start}'")
    except OSError as error:
        raise InputError(f"start_from is '{start}', which cannot be read ({error.strerror}); it is a run folder, a state or a model file.") from error
    return under(tensors, "weights.") if "round" in record else tensors


def _same_shapes(found: Weights, wanted: Weights, start: str) -> Weights:
    for name, value in wanted.items():
        if name not in found:
            raise InputError(f"start_from is '{start}', which has no weight '{name}'; it was trained with another program.")
        if found[name].shape != value.shape:
            raise InputError(f"start_from is '{start}', whose '{name}' has shape {found[name].shape}, not {value.shape}; it was trained with another program.")
    return {name: found[name].astype(value.dtype) for name, value in wanted.items()}
