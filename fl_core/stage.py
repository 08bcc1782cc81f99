"""What every pipeline task does around its stage: it opens the run, notes the stage in the journal, and ends an error in one sentence and its exit code.

The one place that reads a task's environment: FL_PRIVATE (the organisation's private place), FL_RUNNER (who calls the stages), FL_FAILURE (a file for
the sentence of a task that fails, for a runner that does not see the task's exit code).
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from fl_core import generator, server
from fl_core.codec import Record
from fl_core.compiled import check_fixed
from fl_core.errors import FederationError, InputError
from fl_core.job import Job, parse_bundle
from fl_core.journal import elapsed_seconds, staged
from fl_core.pool import Pool, open_pool
from fl_core.publication import registry_of
from fl_core.run_folder import MANIFEST, Run, open_at, plan_key
from fl_core.runner import check_writable, private_store
from fl_core.section import FILE_NAME, NAME_RULE
from fl_core.signing import SERVER
from fl_core.store import FileStore, Store, open_private, open_store
from fl_core.strategy import check_waits, load_strategy
from fl_core.trust import known_server_key

PRIVATE, RUNNER, FAILURE = "FL_PRIVATE", "FL_RUNNER", "FL_FAILURE"
OCCURRENCE_NAME_MAX = 26


class Artifact(Protocol):
    """A file that a task leaves for the pipeline, with metadata that its page shows."""

    path: str
    metadata: dict[str, Any]


@contextmanager
def stage(name: str, store: str, run: str, manifest: str, *, round: int = 0, worker: str = "") -> Iterator[tuple[Run, Pool]]:
    """The run and a pool for one stage; SignatureError where the run's manifest is not the one of this sha256, which the pipeline's first task found: no
    other job or code is run. In the journal the stage is `passed` where the job had ended before it."""
    with ending(), open_pool() as pool:
        one = open_run_at(store, run, manifest)
        pool.about(one.address)
        one.trail.signer = worker or SERVER
        with staged(one, name, round, event="passed" if ended_before(one, round) else "stage", **({"worker": worker} if worker else {})):
            yield one, pool


@contextmanager
def ending() -> Iterator[None]:
    """Ends the task with one sentence on stderr and the error's exit code."""
    try:
        yield
    except FederationError as error:
        _tell_runner({"kind": type(error).__name__, "error": str(error)})
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except Exception as error:  # the log keeps the traceback, the runner hears what it was
        _tell_runner({"kind": FederationError.__name__, "error": f"{type(error).__name__}: {error}"})
        raise


def _tell_runner(failure: Record) -> None:
    if os.environ.get(FAILURE):
        Path(os.environ[FAILURE]).write_text(json.dumps(failure))


def place_of(store: str, run: str) -> Store:
    """Where a run lies: STORE/runs/RUN, or `run` itself where it is a whole address."""
    if "://" in run:
        return open_store(run)
    if not FILE_NAME.fullmatch(run):
        raise InputError(f"run is '{run}'; {NAME_RULE}")
    if not store:
        raise InputError("store is empty; it says where the federation meets, such as s3://bucket/prefix.")
    return open_store(store).at(f"runs/{run}")


def open_run_at(store: str, run: str, manifest: str = "") -> Run:
    place = place_of(store, run)
    private = private_of(place)
    return open_at(place, private, server_key=known_server_key(private, place), pin=manifest, root=open_store(store) if store else None)


def private_of(place: Store) -> Store:
    """Where this task's organisation keeps its keys and its clients' memory: FL_PRIVATE, or beside the run's folder; InputError where a pod would lose them."""
    folder = os.environ.get(PRIVATE)
    if folder:
        return open_private(folder).at(place.uri.rstrip("/").rpartition("/")[2])
    if not isinstance(place, FileStore) and RUNNER not in os.environ:
        raise InputError(
            f"{PRIVATE} is not set; it says where this role keeps its keys and its clients' memory from task to task, such as s3://private-bucket: "
            "put it into the Secret of the store's credentials."
        )
    return private_store(place)


def ended_before(one: Run, round: int) -> bool:
    """Whether the job had ended before a stage of this round: the plan of its last state says so."""
    last = one.last_round()
    return round >= last and bool((one.find(plan_key(last)) or {}).get("finished", False))


def generate(
    pool: Pool, store: str, run: str, bundle: str, *, overrides: str = "", start_from: str = "", seed: str = "", fixed: str = "", occurrence: str = ""
) -> Run:
    """Checks the job and writes it with its first state; a run that is there with the same job is gone on with.

    The data are checked later, worker by worker, and the population that they are by the first selection.
    """
    job = filled_in(bundle, overrides, start_from, seed)
    check_fixed(job, fixed)
    check_waits(load_strategy(job), job.strategy.name)
    place = place_of(store, run or f"{job.name[:OCCURRENCE_NAME_MAX]}-{occurrence}")
    if place.exists(MANIFEST):
        return _gone_on_with(open_run_at(store, place.uri), job)
    one = Run(place.uri.rstrip("/").rpartition("/")[2], job, place, private_of(place), root=open_store(store) if store else None)
    state, facts = generator.check(job, pool, root=registry_of(one))
    check_writable(place)
    with staged(one, "generate", 0):
        generator.write(one, state, facts)
    return one


def filled_in(bundle: str, overrides: str, start_from: str, seed: str) -> Job:
    """The job in a bundle with what the user filled in: an override a line, a start, a seed; empty ones leave the job's own."""
    lines = [line for line in overrides.splitlines() if line.strip()]
    lines += [f"start_from={json.dumps(start_from)}"] if start_from else []
    lines += [f"seed={seed}"] if seed.strip() else []
    return parse_bundle(bundle, lines)


def _gone_on_with(one: Run, job: Job) -> Run:
    """A run that is there: who failed in the round that is still open is asked again."""
    if one.job.digest != job.digest:
        raise InputError(f"{one.store.uri} holds a run of another job; give this run another name.")
    server.forget_failed_replies(one, one.last_round())
    return one


def write_receipt(artifact: Artifact, **facts: Any) -> None:
    """Leaves small facts as the artifact's metadata and as its content."""
    artifact.metadata.update(facts)
    Path(artifact.path).write_text(json.dumps(facts))


def runner_facts(one: Run) -> Record:
    """What the summary says of the runner; the seconds are those since the journal's first line."""
    seconds = elapsed_seconds(one)
    return {
        "runner": os.environ.get(RUNNER, "kubeflow"), "seconds": seconds, "rounds_per_second": (one.last_round() - 1) / seconds, "resumed_from": None
    }  # fmt: skip
