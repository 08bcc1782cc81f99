"""The long tasks of a pipeline: the server's role and a worker's, each in a supervised child process (`python -m fl_core.role`) that finds its orders on
standard input. The job travels to the server's task only; the workers find it in the store and run it if its program is the one that was compiled in."""

import json
import sys
from collections.abc import Callable, Mapping

from fl_core import live
from fl_core.compiled import check_fixed
from fl_core.errors import SignatureError, StoreError
from fl_core.pool import open_pool
from fl_core.run_folder import MANIFEST, Run, open_at
from fl_core.runner import Progress
from fl_core.stage import OCCURRENCE_NAME_MAX, ending, filled_in, open_run_at, place_of, private_of
from fl_core.store import Store, open_store
from fl_core.supervisor import supervise
from fl_core.waiting import wait_until


def lead(store: str, run: str, name: str, occurrence: str, orders: Mapping[str, object]) -> Run:
    """Leads the federation to its end and gives the finished run; ends this process where the role refuses or dies too often. `orders` are those of `serve`."""
    return _play("serve", store, run_name(run, name, occurrence), orders)


def take_part(store: str, run: str, name: str, occurrence: str, orders: Mapping[str, object]) -> Run:
    """Takes part in the run until it ends, and gives it; ends this process where the role refuses or dies too often. `orders` are those of `work`."""
    return _play("work", store, run_name(run, name, occurrence), orders)


def run_name(run: str, name: str, occurrence: str) -> str:
    """The run's name as every role knows it: the one that was given, else the compiled job's with the occurrence."""
    return run or f"{name[:OCCURRENCE_NAME_MAX]}-{occurrence}"


def _play(role: str, store: str, run: str, orders: Mapping[str, object]) -> Run:
    code = supervise([sys.executable, "-P", "-m", "fl_core.role"], json.dumps({"role": role, "orders": {"store": store, "run": run, **orders}}))
    if code:
        raise SystemExit(code)
    return open_run_at(store, run)


def serve(store: str, run: str, bundle: str, overrides: str, start_from: str, seed: str, fixed: str, start_seconds: float) -> None:
    job = filled_in(bundle, overrides, start_from, seed)
    check_fixed(job, fixed)
    place = place_of(store, run)
    one = Run(_name(place), job, place, private_of(place), root=open_store(store) if store else None)
    live.serve(one, start_seconds=start_seconds, on_round=_tell_round)


def work(store: str, run: str, worker: str, program_sha256: str, start_seconds: float) -> None:
    place = place_of(store, run)
    if not wait_until(lambda: place.exists(MANIFEST), start_seconds):
        raise StoreError(f"There is no run '{run}' in {place.uri} after {start_seconds:g} s; did the server's task start?")
    private = private_of(place)
    job = open_at(place, private).job
    if job.program_sha256 != program_sha256:
        raise SignatureError(
            f"The run's program has sha256 {job.program_sha256[:16]}…, and this pipeline was compiled for {program_sha256[:16]}…; "
            "compile the job again with `fl compile`."
        )
    with open_pool() as pool:
        rounds = live.work(_name(place), place, private, worker, pool, job=job, start_seconds=start_seconds, tell=_tell)
    _tell(f"the run '{run}' ended after {rounds} rounds")


def _name(place: Store) -> str:
    """A run is called as its folder is; the pipeline may have given a whole address."""
    return place.uri.rstrip("/").rpartition("/")[2]


def _tell(line: str) -> None:
    print(line, flush=True)


def _tell_round(progress: Progress) -> None:
    figures = [f"{progress.examples} examples", f"{progress.seconds:.2f} s", *(f"{name} {value:.4g}" for name, value in progress.metrics.items())]
    _tell(f"round {progress.round} of at most {progress.rounds}: {', '.join(figures)}")


ROLES: Mapping[str, Callable[..., None]] = {"serve": serve, "work": work}


def main() -> None:
    told = json.loads(sys.stdin.read())
    with ending():
        ROLES[told["role"]](**told["orders"])


if __name__ == "__main__":
    main()
