"""The other side of a comparison: plain Paddle loops in a process of their own, with the threads and the MKL path that training processes have."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from fl_core.job import Job
from fl_core.numerics import training_environment

ROOT = Path(__file__).parents[1]


class LoopProcess:
    """Runs loops of `benchmarks.loops` over the clients of a job. It has state because a process lives."""

    def __init__(self, job: Job) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.loop_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=training_environment(os.environ),
        )  # fmt: skip
        self._send(job.bundle())

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_seconds(self, loop: str) -> float:
        """CPU seconds of the loop over all clients, once."""
        self._send(loop)
        assert self._process.stdout is not None
        return float(json.loads(self._process.stdout.readline()))

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> "LoopProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Reads a job, then names of loops; answers each with the CPU seconds that it took."""
    from benchmarks.loops import LOOPS, open_loop

    opened = open_loop(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        start = time.process_time()
        LOOPS[json.loads(line)](opened)
        print(json.dumps(time.process_time() - start), flush=True)


if __name__ == "__main__":
    main()
