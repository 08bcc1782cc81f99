"""The runners `subprocess` and `docker`: the compiled pipeline under kfp.local, every stage a process on one warm nursery, or a container."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from fl_core import errors, stage
from fl_core.codec import Record
from fl_core.errors import FederationError, InputError, TrainingError
from fl_core.job import Job
from fl_core.pool import NURSERY, Nursery
from fl_core.reference import module_of
from fl_core.run_folder import MANIFEST, Run, close_key
from fl_core.runner import OnRound, Result, new_run, open_run, progress_of
from fl_core.store import FileStore, open_store
from pipelines.containers import check_docker, container_arguments, ended_containers, images_of

ROUNDS_MAX = 10
POLL_SECONDS = 0.1
LOG_LINES = 12
LOG = "pipeline.log"


def run_local(
    job: Job,
    *,
    runner: str = "subprocess",
    store: str = "file://store",
    out: str | Path | None = None,
    name: str | None = None,
    on_round: OnRound | None = None,
    rounds_a_run: int = ROUNDS_MAX,
    nursery: str | None = None,
) -> Result:
    """Trains the job to its end as pipelines under kfp.local and gives the result; a long job is several pipelines of `rounds_a_run` each.

    Raises what the failed stage raised, TrainingError where a stage died. The runner's log and the tasks' receipts lie in the run's private place.
    `nursery` is the socket of one that somebody else keeps warm; containers have their own.
    """
    if runner not in ("subprocess", "docker"):
        raise InputError(f"runner is '{runner}'; known here are 'subprocess' and 'docker'.")
    if runner == "docker":
        check_docker(images_of(job))
    one = new_run(job, store=store, out=out, name=name)
    assert isinstance(one.private, FileStore)
    folder = one.private.root / "pipeline"
    one.private.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="fl-") as scratch:
            told = {"bundle": job.bundle(), "run": one.store.uri, "store": open_store(store).uri, "rounds_a_run": rounds_a_run}
            if runner == "docker":
                told["containers"] = container_arguments(one, Path(scratch))
                with ended_containers(one.store.uri):
                    _run_pipelines(one, told, {}, folder, Path(scratch), on_round)
            else:
                with nullcontext() if nursery else _nursery(job) as own:
                    _run_pipelines(one, told, {NURSERY: own.path if own else str(nursery)}, folder, Path(scratch), on_round, own)
    finally:
        if not one.store.exists(MANIFEST):
            shutil.rmtree(folder)
            for made in (one.private, one.store):
                if isinstance(made, FileStore):
                    with suppress(OSError):  # it was not made, or held something before
                        made.root.rmdir()
    finished = open_run(one.store.uri)
    return Result(finished, finished.record("summary.json"))


@contextmanager
def _nursery(job: Job) -> Iterator[Nursery]:
    nursery = Nursery(modules=_modules(job))
    try:
        yield nursery
    finally:
        nursery.close()


def _run_pipelines(
    one: Run, told: Record, more: Mapping[str, str], folder: Path, scratch: Path, on_round: OnRound | None, nursery: Nursery | None = None
) -> None:
    """Starts the runner, which imports kfp while a nursery of our own imports Paddle, tells it the job once that is ready, and watches it to its end."""
    failure = scratch / "failure.json"
    with open(folder / LOG, "ab") as log:
        environment = {**os.environ, **more, stage.RUNNER: "subprocess", stage.FAILURE: str(failure), "TMPDIR": str(scratch)}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipelines.local_child", str(folder / "artifacts")],
            stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip
        assert child.stdin
        try:
            if nursery:
                nursery.wait()
            child.stdin.write(json.dumps(told).encode() + b"\n")
            child.stdin.flush()
            _watch(child, one, on_round)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            child.stdin.close()
    if child.returncode or failure.exists():
        raise _reason(failure, folder / LOG)


def _modules(job: Job) -> list[str]:
    """What the training processes of a job import, besides the user's own files."""
    sections = [job.data, *(worker.data for worker in job.workers if worker.data)]
    names = [("program", job.program.name), *(("data", section.name) for section in sections if section.name)]
    return sorted({module for kind, name in names if (module := module_of(kind, name))})


def _watch(child: "subprocess.Popen[bytes]", one: Run, on_round: OnRound | None) -> None:
    """Tells of every round that is closed and measured, until the runner ends."""
    round, begun = 1, time.perf_counter()
    while True:
        ended = child.poll() is not None
        while on_round and one.store.exists(close_key(round)) and one.store.exists(f"rounds/{round + 1:04d}/plan.json"):
            now = time.perf_counter()
            on_round(progress_of(one, round, round + 1, now - begun))
            round, begun = round + 1, now
        if ended:
            return
        time.sleep(POLL_SECONDS)


def _reason(failure: Path, log: Path) -> FederationError:
    """What the failed stage said, or the end of the log where it could not say anything."""
    if failure.exists():
        told: dict[str, Any] = json.loads(failure.read_text())
        kind = getattr(errors, told["kind"])
        return kind(told["error"])  # type: ignore[no-any-return]
    end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    return TrainingError(f"A stage of the pipeline died; go on with `fl resume`. The end of {log}:\n{end}")
