"""Forks a run at a kept round: a copy of all that was there before the round was planned, from which the run goes on by itself."""

from pathlib import Path

from fl_core.errors import InputError
from fl_core.run_folder import Run, evaluation_key, metrics_key, state_key
from fl_core.runner import check_is_leader, open_run, private_store
from fl_core.sentence import ranges
from fl_core.store import FileStore, Store
from fl_core.strategy import check_waits


def fork(folder: str | Path, round: int, out: str | Path) -> Run:
    """Copies the run in `folder` as it was before `round` (from 1) to the folder `out`, with its keys and its clients' memory.

    InputError where the state of that round was not kept, or where `out` is there already.
    """
    old, place = open_run(folder), FileStore(Path(out))
    if place.list("") or place.root.exists():
        raise InputError(f"{place.root} exists; give the fork a folder of its own.")
    check_is_leader(old)
    check_waits(old.strategy, old.job.strategy.name)
    if not old.store.exists(state_key(round)):
        why = "was not kept" if 0 < round <= old.last_round() else "was never made"
        raise InputError(f"The state of round {round} of {old.store.uri} {why}; kept are those of rounds {_kept(old)}.")
    for key in old.store.list("rounds/") + old.store.list("job/"):
        if _is_before(old, key, round):
            place.put(key, old.store.get(key))
    _copy_memory(old.private, private_store(place), round)
    return open_run(place.root)


def _kept(run: Run) -> str:
    rounds = [int(key.split("/")[1]) for key in run.store.list("rounds/") if key.endswith("/state.safetensors")]
    return ranges(rounds)


def _is_before(run: Run, key: str, round: int) -> bool:
    """Whether a key was there before the round was planned."""
    if key.startswith("job/"):
        return True
    of_round = {state_key(round), metrics_key(round), *(evaluation_key(round, worker.name) for worker in run.job.workers)}
    return key in of_round or int(key.split("/")[1]) < round


def _copy_memory(old: Store, new: Store, round: int) -> None:
    for key in old.list(""):
        if not key.startswith("clients/") or int(key.rpartition("/")[2].split(".")[0]) < round:
            new.put(key, old.get(key))
