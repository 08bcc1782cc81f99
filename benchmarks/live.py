"""What a round costs where server and workers are processes that meet in an object store: a tiny model, four workers, a MinIO on this machine."""

import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Benchmark, Goal, Measured
from fl_core import load_job
from fl_core.live import serve
from fl_core.run_folder import Run
from fl_core.store import PRIVATE, FileStore, open_store
from tests.services.minio_server import MinioServer

WORKERS = 4
ROUNDS_FEW = 5
COUNT_SECONDS = 11.0  # the server brings its count of requests up to date every ten seconds
ROOT = Path(__file__).parents[1]


def measure(quick: bool) -> Measured:
    """A short run comes first: what the long one asks for beyond it, a round, is what its further rounds cost."""
    rounds = 15 if quick else 60
    with tempfile.TemporaryDirectory() as name:
        server = MinioServer(Path(name) / "minio")
        try:
            os.environ.update(server.environment())
            few, _ = _lead(ROUNDS_FEW, Path(name) / "few", server)
            many, seconds = _lead(rounds, Path(name) / "many", server)
        finally:
            server.kill()
    figures = {
        "round_ms": round(statistics.median(seconds) * 1000, 1), "slowest_round_ms": round(max(seconds) * 1000, 1),
        "requests_per_round": round((many - few) / (rounds - ROUNDS_FEW), 1),
    }  # fmt: skip
    return Measured({"workers": WORKERS, "rounds": rounds, "parameters": 650}, {}, figures)


def _lead(rounds: int, folder: Path, server: MinioServer) -> tuple[float, list[float]]:
    """The requests of a whole run, and the seconds between the closes of its rounds, the first two left out."""
    overrides = [f"federation.workers={WORKERS}", f"rounds={rounds}", "strategy.local_steps=1", "data.partition={name: iid, clients: 4}"]
    root, before = f"s3://{server.new_bucket()}/federation", _requests(server)
    moments: list[float] = []
    workers = [_work(overrides, root, folder, f"worker-{i}") for i in range(WORKERS)]
    try:
        job = load_job(ROOT / "examples/digits.yaml", overrides)
        run = Run("live", job, open_store(f"{root}/runs/live"), FileStore(folder / "server", PRIVATE))
        serve(run, on_round=lambda progress: moments.append(time.perf_counter()))
        for worker in workers:
            worker.wait(60)
    finally:
        for worker in workers:
            worker.kill()
    return _requests(server) - before, [after - before for before, after in itertools.pairwise(moments[1:])]


def _work(overrides: Sequence[str], root: str, folder: Path, name: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "import sys; from pipelines.cli import main; sys.exit(main())", "work", str(ROOT / "examples/digits.yaml")]
    options = ["--store", root, "--run", "live", "--worker", name, "--processes", "1", "--private", str(folder / name)]
    sets = [word for override in overrides for word in ("--set", override)]
    return subprocess.Popen([*command, *options, *sets], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _requests(server: MinioServer) -> float:
    """How many S3 requests the server has answered so far, by its own count."""
    time.sleep(COUNT_SECONDS)
    with urllib.request.urlopen(f"{server.endpoint}/minio/v2/metrics/cluster", timeout=10) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(r"^minio_s3_requests_total\{[^}]*\} ([0-9.e+]+)$", text, re.M))


benchmark = Benchmark("A round of four processes over a MinIO on this machine costs less than 100 ms.", {"round_ms": Goal(most=100)}, measure)
