"""A federation of separate processes on MinIO: one server and four workers give the digest of one process, also when any of them is killed at any time."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fl_core.store import Store, open_store
from fl_core.verify import verify
from tests.services.kills import JOB, events, fl
from tests.services.minio_server import MinioServer

WORKERS = [f"worker-{i}" for i in range(4)]
SET = ["--set", "federation.workers=4", "--set", "rounds=15", "--set", "federation.parts=2"]
MEASURED = "strategy={name: fed_buff, arrivals: measured, buffer_size: 2, clients_in_flight: 6, local_epochs: 6, batch_size: 32}"
KILLS = 12


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("live") / "job.yaml"
    path.write_text(JOB)
    return path


@pytest.fixture(scope="module")
def undisturbed(job: Path) -> str:
    out = job.parent / "undisturbed"
    assert fl(["run", str(job), *SET, "--out", str(out)], {}).wait(600) == 0
    return str(json.loads((out / "summary.json").read_bytes())["digest"])


class Federation:
    """The processes of a run on MinIO, each started again by name; it has state because processes live."""

    def __init__(self, job: Path, root: str, folder: Path, environment: dict[str, str]) -> None:
        self._job, self._root, self._folder, self._environment = str(job), root, folder, environment
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.settings = SET

    def start(self, name: str, role: str | None = None) -> None:
        role = role or name
        place = ["--store", self._root, "--run", "live", "--private", str(self._folder / role)]
        words = (
            ["serve", self._job, *self.settings, *place]
            if role == "server"
            else ["work", self._job, *self.settings, *place, "--worker", role, "--processes", "1"]
        )
        self.processes[name] = fl(words, self._environment)

    def kill(self, name: str) -> bool:
        """False where it had ended by itself."""
        if self.processes[name].poll() is not None:
            return False
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        return True

    def wait(self) -> dict[str, int]:
        return {name: process.wait(600) for name, process in self.processes.items()}

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()


@pytest.fixture
def federation(job: Path, tmp_path: Path, minio: MinioServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Federation, Store]]:
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)
    root = f"s3://{minio.new_bucket()}/federation"
    found = Federation(job, root, tmp_path, dict(os.environ))
    yield found, open_store(f"{root}/runs/live")
    found.end()


def test_server_and_workers_on_minio_give_the_digest_of_one_process(federation: tuple[Federation, Store], undisturbed: str) -> None:
    processes, store = federation
    for name in ("server", *WORKERS):
        processes.start(name)
    assert set(processes.wait().values()) == {0}
    assert json.loads(bytes(store.get("summary.json")))["digest"] == undisturbed
    assert verify(store).found == []


def kill_at_random_moments(processes: Federation, store: Store) -> None:
    """Runs the federation to its end, whose roles are killed in turn and started again, with a second process of a worker that comes and goes."""
    choice, killed = random.Random(3), []
    for name in ("server", *WORKERS):
        processes.start(name)
    processes.start("worker-1 again", "worker-1")
    for number in range(KILLS):
        moved, end = len(events(store)), time.monotonic() + 300
        while len(events(store)) <= moved and not store.exists("summary.json") and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(choice.uniform(0, 0.5))
        name = ["server", *WORKERS][number % 5]
        if processes.kill(name):
            killed.append((name, store.exists("summary.json")))
            processes.start(name)
        if number == KILLS // 2:
            processes.kill("worker-1 again")
            processes.start("worker-3 again", "worker-3")
    codes = {name: code for name, code in processes.wait().items() if name != "worker-1 again"}
    print(f"killed {[name for name, _ in killed]}")
    assert set(codes.values()) == {0}
    assert sum(not finished for _, finished in killed) >= 8


def test_server_and_workers_killed_at_random_moments_give_the_same_digest(federation: tuple[Federation, Store], undisturbed: str) -> None:
    processes, store = federation
    kill_at_random_moments(processes, store)
    assert json.loads(bytes(store.get("summary.json")))["digest"] == undisturbed
    assert verify(store).found == []


def test_measured_arrivals_under_kills_are_each_counted_once(federation: tuple[Federation, Store]) -> None:
    processes, store = federation
    processes.settings = [*SET, "--set", "rounds=60", "--set", "keep_updates=all", "--set", MEASURED]
    kill_at_random_moments(processes, store)
    closes = [json.loads(bytes(store.get(f"rounds/{round:04d}/close.json"))) for round in range(1, 61)]
    counted = [(client, base) for closed in closes for client, base in closed["bases"].items()]
    assert len(counted) == len(set(counted)) == 120
    reasons = [entry["reason"] for closed in closes for entry in closed["left_out"]]
    assert all(reason.endswith("strategy.staleness_max is 10") for reason in reasons)  # a lease that outlives its process may make a client too late
    found = verify(store)
    assert (found.found, found.replayed) == ([], list(range(1, 61)))
