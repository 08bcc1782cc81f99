"""How fast a job trains beside plain Paddle loops over the same examples: one process by CPU time, two processes by the clock."""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness import Measured, cpu_seconds, in_turn, processes_below, ratio, spread
from benchmarks.loop_process import LoopProcess
from fl_core import run
from fl_core.job import Job, parse_job
from fl_core.pool import Pool
from fl_core.runner import Progress


def training_job(program: Mapping[str, Any], data: Mapping[str, Any], rounds: int, batch_size: int, learning_rate: float, **more: Any) -> Job:
    """A job of FedAvg: one local epoch, everyone in every round, measured once at the end."""
    content = {
        "format": 1, "name": "bench", "program": program, "strategy": {"name": "fed_avg", "local_epochs": 1, "batch_size": batch_size}, "data": data,
        "rounds": rounds, "evaluate": {"every_rounds": rounds}, "optimizer": {"name": "SGD", "learning_rate": learning_rate}, **more,
    }  # fmt: skip
    return parse_job(yaml.safe_dump(content))


def beside_loops(job: Job, loops: Sequence[str], pool: Pool) -> dict[str, list[float]]:
    """CPU seconds of each round of the job, all its processes together, and of each loop over the same examples, run between the rounds.

    The first round does not count: data and model are opened in it. All of them then run on one core, because the cores of a machine that is shared with
    others differ by up to a half from one moment to the next.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ("engine", *loops)}
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder, LoopProcess(job) as other:
        mine: list[int] = []
        begun = 0.0

        def on_round(progress: Progress) -> None:
            nonlocal mine, begun
            used = cpu_seconds(mine) - begun
            for loop in loops:
                taken = other.cpu_seconds(loop)
                if mine:
                    seconds[loop].append(taken)
            if mine:
                seconds["engine"].append(used)
            if not mine:
                mine = [process for process in processes_below(os.getpid()) if process != other.pid]
                keep_to([*mine, other.pid], {max(cores)})
            begun = cpu_seconds(mine)

        try:
            run(job, out=Path(folder) / "run", pool=pool, on_round=on_round)
        finally:
            keep_to(mine, cores)
    return seconds


def keep_to(processes: Sequence[int], cores: Collection[int]) -> None:
    """Lets the processes, with all their threads, run on these cores alone; passes over one that has ended."""
    for process in processes:
        with suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                os.sched_setaffinity(int(task.name), cores)


def round_seconds(job: Job, pool: Pool) -> list[float]:
    """Seconds by the clock of each round of the job but the first."""
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        run(job, out=Path(folder) / "run", pool=pool, on_round=lambda progress: ends.append(time.perf_counter()))
    return [after - before for before, after in itertools.pairwise(ends)]


def two_loops_to_one(job: Job, pairs: int) -> float:
    """How much two plain loops in processes of their own get done beside one, by the clock: as much as the machine's cores give."""
    with LoopProcess(job) as one, LoopProcess(job) as other, ThreadPoolExecutor(2) as threads:

        def seconds(*processes: LoopProcess) -> float:
            start = time.perf_counter()
            list(threads.map(lambda process: process.cpu_seconds("fastest"), processes))
            return time.perf_counter() - start

        found = in_turn({"alone": lambda: seconds(one), "both": lambda: seconds(one, other)}, pairs)
    return ratio([2 * alone for alone in found["alone"]], found["both"])


def beside_plain_loop(job: Job, settings: Mapping[str, Any], examples: int) -> Measured:
    """One process beside the ordinary loop, and beside the fastest."""
    with Pool(1) as pool:
        seconds = beside_loops(job, ["ordinary", "fastest"], pool)
    pairs = [plain / engine for plain, engine in zip(seconds["ordinary"], seconds["engine"], strict=True)]
    figures = {
        "to_fastest_loop": ratio(seconds["fastest"], seconds["engine"]), "spread": spread(pairs),
        "examples_per_cpu_second": round(examples / statistics.median(seconds["engine"])),
    }  # fmt: skip
    return Measured(settings, {"to_limit": ratio(seconds["ordinary"], seconds["engine"])}, figures)


def round_cpu_seconds(job: Job, pool: Pool) -> float:
    """The median round's CPU seconds in all processes together, without the first two rounds."""
    mine: list[int] = []
    used: list[float] = []

    def on_round(progress: Progress) -> None:
        mine[:] = mine or processes_below(os.getpid())
        used.append(cpu_seconds(mine))

    with tempfile.TemporaryDirectory() as folder:
        run(job, out=Path(folder) / "run", pool=pool, on_round=on_round)
    return statistics.median(after - before for before, after in itertools.pairwise(used))
