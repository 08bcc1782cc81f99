"""Runs what a comparison planned, on one warm pool: what is there already is read, what was interrupted is gone on with, a run that fails ends no other."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from fl_core import runner
from fl_core.comparison import Combination, Target
from fl_core.comparison_facts import Outcome, read_outcome
from fl_core.comparison_plan import Planned
from fl_core.errors import FederationError, InputError, StoreError
from fl_core.job import load_job
from fl_core.pool import Pool
from fl_core.run_folder import MANIFEST, Run
from fl_core.runner import OnRound, new_run, open_run
from fl_core.store import FileStore
from fl_core.strategy import load_strategy

SUBFOLDERS_DEEP_MAX = 3
RUNS_READ_MAX = 1000
Watch = Callable[[Planned], AbstractContextManager[OnRound]]


def is_begun(planned: Planned) -> bool:
    """Whether the run's folder holds a run."""
    return FileStore(planned.folder).exists(MANIFEST)


def check(path: str | Path, planned: Sequence[Planned], pool: Pool, store: str, target: Target | None = None) -> None:
    """Checks every combination against its program and data, and every folder; InputError before anything is written."""
    for one in planned:
        load_strategy(one.job)  # in no time; the program and the data take seconds
    checked: set[str] = set()
    for one in planned:
        if is_begun(one):
            if open_run(one.folder).manifest["digest"] != one.job.digest:
                raise InputError(f"{one.folder} holds a run of another job; choose another folder with --out.")
            continue
        fresh = new_run(one.job, store=store, out=one.folder)
        if one.folder.parent.name not in checked:
            checked.add(one.folder.parent.name)
            _check_with_target(path, one, fresh, pool, target)


def _check_with_target(path: str | Path, one: Planned, fresh: Run, pool: Pool, target: Target | None) -> None:
    """Asks the program about the target as if the job stopped there."""
    if target is None:
        runner.check(fresh, pool)
        return
    word = f"stop_when.{target.metric}"
    try:
        runner.check(replace(fresh, job=load_job(path, (*one.overrides, f"{word}={target.goal}"))), pool)
    except InputError as error:
        if str(error).startswith(f"{word} is "):
            raise InputError(str(error).replace(word, f"--target {target.metric}", 1)) from error
        raise


def run_all(planned: Sequence[Planned], pool: Pool, store: str, watch: Watch) -> dict[Path, FederationError]:
    """Runs what is not done; gives what stopped the runs that failed. `watch` makes what hears of a run's rounds."""
    failed: dict[Path, FederationError] = {}
    for one in planned:
        try:
            with watch(one) as on_round:
                _run(one, pool, store, on_round)
        except StoreError:  # no other run could be written either
            raise
        except FederationError as error:
            failed[one.folder] = error
    return failed


def _run(one: Planned, pool: Pool, store: str, on_round: OnRound) -> None:
    """Runs or goes on with one; of a finished one its last round is told, so that a log has it too."""
    if not is_begun(one):
        runner.run(one.job, store=store, out=one.folder, pool=pool, on_round=on_round)
        return
    was_finished = open_run(one.folder).find("summary.json") is not None
    result = runner.resume(one.folder, store=store, pool=pool, on_round=on_round)
    if was_finished and (progress := runner.last_progress(result)):
        on_round(progress)


def gather(planned: Sequence[Planned], failed: dict[Path, FederationError]) -> list[Combination]:
    """What came of the planned runs, by combination, its seeds in rising order."""
    groups: dict[str, list[Planned]] = {}
    for one in planned:
        groups.setdefault(one.folder.parent.name, []).append(one)
    return [Combination(members[0].values, [_outcome(one, failed.get(one.folder)) for one in members], members[0].values) for members in groups.values()]


def _outcome(one: Planned, error: FederationError | None) -> Outcome:
    why = str(error) if error else ""
    if not is_begun(one):
        return Outcome(place=str(one.folder), job=one.job, status="failed", why=why)
    return read_outcome(open_run(one.folder), why)


def find_runs(places: Sequence[str]) -> list[str]:
    """The folders and URIs of runs among the places, and below those that are folders of runs; InputError for one without any."""
    found: list[str] = []
    for place in places:
        below = [place] if "://" in place else [str(path) for path in _below(Path(place), SUBFOLDERS_DEEP_MAX)]
        if not below:
            raise InputError(f"There is no run in '{place}' or {SUBFOLDERS_DEEP_MAX} folders deep below it; name runs, a folder of runs, or a job file.")
        found += [path for path in below if path not in found]
    if len(found) > RUNS_READ_MAX:
        raise InputError(f"There are {len(found)} runs; at most {RUNS_READ_MAX} are compared, so name fewer.")
    return found


def _in_order(name: str) -> list[str | float]:
    """What to sort a folder's name by, so that numbers in it count as numbers.

    >>> sorted(["epochs=20", "epochs=5", "rate=0.5", "rate=1e-05"], key=_in_order)
    ['epochs=5', 'epochs=20', 'rate=1e-05', 'rate=0.5']
    """
    return [float(word) if place % 2 else word for place, word in enumerate(re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", name))]


def _below(folder: Path, deep: int) -> list[Path]:
    if (folder / MANIFEST).is_file():
        return [folder]
    if deep == 0 or not folder.is_dir():
        return []
    inner = (
        path
        for path in sorted(folder.iterdir(), key=lambda path: _in_order(path.name))
        if path.is_dir() and not path.name.endswith(".private") and not path.name.startswith(".")
    )
    return [found for path in inner for found in _below(path, deep - 1)]
