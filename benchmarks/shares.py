"""Where the CPU time of a round goes: `python -m benchmarks.shares` trains the 2NN in this process, as a training process and its parent would, and times
their parts. Times of parts that call each other overlap."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.two_nn import two_nn_job
from fl_core import exact, merging, replies, runner, scheduler, server, signing, worker
from fl_core import run_folder as folder
from fl_core.numerics import training_environment
from fl_core.pool import Pool
from fl_core.store import FileStore
from fl_core.worker import tasks_of

WARM_ROUNDS, ROUNDS = 2, 8
READY, ROOT = "FL_SHARES_ENVIRONMENT", Path(__file__).parents[1]


def main() -> None:
    from fl_core import learning, trainer

    parts: list[tuple[str, Any, str]] = [
        ("parent: plan", scheduler, "plan"), ("worker: train_part", trainer, "train_part"), ("worker:   fit", learning.Learner, "fit"),
        ("worker:   add_move", exact, "add_move"), ("worker:   why_not_summable", exact, "why_not_summable"),
        ("worker:   encode, hash, sign, write the reply", folder.Run, "put_tensors"), ("worker:   read_memory", worker, "read_memory"),
        ("parent: aggregate", server, "aggregate"), ("parent:   read and check replies", folder.Run, "check_tensors"),
        ("parent:   sha256 of replies", replies, "sha256"),
        ("parent:   add sums", merging.Merging, "add"), ("parent:   next_state", server, "next_state"), ("parent:   put_state", folder.Run, "put_state"),
        ("both: digest_weights", folder, "digest_weights"), ("both: check signatures", signing, "check"), ("both: store.put", FileStore, "put"),
    ]  # fmt: skip
    spent: dict[str, float] = {}
    with Pool(1) as pool, tempfile.TemporaryDirectory() as place:
        one = runner.new_run(two_nn_job("functional", WARM_ROUNDS + ROUNDS), out=Path(place) / "run")
        runner.begin(one, pool)
        home = trainer.Home({**one.address, "turn": 1})
        for round in range(1, WARM_ROUNDS + ROUNDS + 1):
            with timed(parts, spent if round > WARM_ROUNDS else {}):
                for task in tasks_of(scheduler.plan(one, round), "train", [one.job.workers[0].name]):
                    trainer.train(home, lambda client: None, round, task.worker, task.part, 0, {}, "")
                server.aggregate(one, round, 0)
    for name, seconds in spent.items():
        print(f"{name:48} {seconds / ROUNDS * 1000:8.2f} ms a round")


@contextmanager
def timed(parts: list[tuple[str, Any, str]], spent: dict[str, float]) -> Iterator[None]:
    """Adds the CPU seconds that the parts take meanwhile, in their order."""
    patches = [patch.object(place, name, _timed(getattr(place, name), label, spent)) for label, place, name in parts]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _timed(function: Callable[..., Any], label: str, spent: dict[str, float]) -> Callable[..., Any]:
    spent.setdefault(label, 0.0)

    def call(*words: Any, **options: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*words, **options)
        finally:
            spent[label] += time.process_time() - begun

    return call


if __name__ == "__main__":
    if READY not in os.environ:  # as the nursery starts training processes
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.shares"], {**training_environment(os.environ), "PYTHONPATH": str(ROOT), READY: "1"})
    main()
