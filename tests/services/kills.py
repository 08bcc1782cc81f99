"""Kills a run with kill -9 again and again, at random moments and in each stage, resumes it each time, and tells where the kills fell."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fl_core.journal import JOURNAL
from fl_core.store import Store

# The model is large enough that every stage, and every write, lasts milliseconds.
JOB = """
format: 1
name: kills
program: {name: mlp, features: 64, hidden: [900, 900], classes: 10}
strategy: {name: fed_avg, local_epochs: 6, batch_size: 32}
data: {name: digits, partition: {name: quantity_skew, clients: 8, alpha: 3.0}}
federation: {workers: 3}
rounds: 60
optimizer: {name: SGD, learning_rate: 0.1}
seed: 11
"""
NEXT = {"select": "train", "train": "close", "close": "evaluate", "evaluate": "select"}
TARGETS = ("random", "write", "close", "random", "evaluate", "write", "random", "select", "train", "pool")
WAIT_SECONDS = 600.0


@dataclass
class Kills:
    """Where the kills of one run fell, from its journal and its folder."""

    stages: Counter[str] = field(default_factory=Counter)
    mid_run: int = 0
    drafts: int = 0
    pool: int = 0


def events(store: Store) -> list[dict[str, Any]]:
    """The journal's lines; a line that is cut off is passed over."""
    lines = bytes(store.get(JOURNAL)).splitlines() if store.exists(JOURNAL) else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def stage_now(store: Store) -> str:
    """The stage that the run is at, by the last line of its journal."""
    for event in reversed(events(store)):
        if event["event"] == "stage":
            return NEXT[event["stage"]]
        if event["event"] in ("done", "found", "died"):
            return "train"
        if event["event"] == "closed":
            return "close"
    return "begin"


def fl(words: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "import sys; from pipelines.cli import main; sys.exit(main())", *words]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_often(begin: Sequence[str], uri: str, store: Store, environment: Mapping[str, str], kills: int, folder: Path | None, seed: int) -> Kills:
    """Starts the run, then kills and resumes it `kills` times; what runs at the end is left to finish."""
    choice, result = random.Random(seed), Kills()
    process = fl(begin, environment)
    for number in range(kills):
        target = TARGETS[number % len(TARGETS)]
        moved = len(events(store))
        _wait(lambda: len(events(store)) > moved or process.poll() is not None)  # noqa: B023
        if store.exists("summary.json"):
            break
        if process.poll() is not None:
            raise RuntimeError(f"the run ended by itself with exit code {process.returncode} before kill {number + 1}")
        if target == "pool":
            _wait(lambda: bool(_trainers(process.pid)) or process.poll() is not None)  # noqa: B023
            for trainer in _trainers(process.pid)[:1]:
                os.kill(trainer, signal.SIGKILL)
                result.pool += 1
            continue
        _wait_for(target, process, store, folder, choice)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not store.exists("summary.json"):
            result.mid_run += 1
            result.stages[stage_now(store)] += 1
        result.drafts += len(_drafts(folder)) if folder else 0
        _sweep(folder)
        process = fl(["resume", uri], environment)
    process.wait(WAIT_SECONDS)
    return result


def _wait_for(target: str, process: "subprocess.Popen[bytes]", store: Store, folder: Path | None, choice: random.Random) -> None:
    if target == "random" or (target == "write" and folder is None):
        time.sleep(choice.uniform(0.0, 1.2))
    elif target == "write":
        _wait(lambda: _is_writing(process.pid) or process.poll() is not None, 0.0)
    else:
        _wait(lambda: stage_now(store) == target or process.poll() is not None, 0.0)


def _wait(ready: Callable[[], bool], pause: float = 0.01) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not ready() and time.monotonic() < end:
        time.sleep(pause)


def _drafts(folder: Path | None) -> list[Path]:
    return list(folder.rglob(".*.draft")) if folder and folder.exists() else []


def _sweep(folder: Path | None) -> None:
    """So that the next count is of new ones; the store itself waits an hour."""
    for draft in _drafts(folder):
        draft.unlink(missing_ok=True)


def _is_writing(process: int) -> bool:
    """Whether the process has a draft open."""
    try:
        return any(os.readlink(f"/proc/{process}/fd/{number}").endswith(".draft") for number in os.listdir(f"/proc/{process}/fd"))
    except OSError:
        return False


def _trainers(runner: int) -> list[int]:
    """The training processes: children of the runner's nursery."""
    return [trainer for nursery in _children(runner) for trainer in _children(nursery)]


def _children(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found += [int(entry.name)] if parent == process else []
    return found
