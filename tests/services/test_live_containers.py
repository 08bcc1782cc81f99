"""The compiled tasks of the layout `live` as containers on networks of their own, with a MinIO between them that is all they share: killed, started again
and joined by a second process of a worker, they end in the digest of one process. A task's container is run as the pipeline's launcher does: its image and
command from the compiled pipeline, its parameters in the message that the command takes, its credentials in the environment as its Secret would give them.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioException
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from fl_core import run
from fl_core.job import Job, parse_job
from fl_core.policy import SERVER, policies
from fl_core.pool import Pool
from fl_core.run_folder import close_key
from fl_core.s3 import S3Store
from fl_core.s3_settings import Settings
from fl_core.store import Store
from fl_core.verify import verify
from pipelines import live
from pipelines.cluster import USER
from pipelines.unrolled import compile_text
from tests.pipelines.launcher import CompiledTask, tasks_of
from tests.services.docker_daemon import HARDENED, Docker, give_to
from tests.services.minio_server import minio_binary

JOB = """
format: 1
name: houses
program: {name: mlp, features: 64, hidden: [600], classes: 10}
strategy: {name: scaffold, local_epochs: 3, batch_size: 32}
data: {name: digits, partition: {name: quantity_skew, clients: 8, alpha: 3.0}}
federation: {workers: [{name: hospital-a}, {name: hospital-b}], parts: 2}
rounds: 12
optimizer: {name: SGD, learning_rate: 0.1}
seed: 11
"""
BUCKET, PREFIX, RUN = "federation", "hospitals", "live"
PASSWORD = "a-password-for-a-test"
TASKS = {SERVER: "Serve the federation", "hospital-a": "Work at hospital-a", "hospital-b": "Work at hospital-b"}
WAIT_SECONDS = 300.0


def until(there: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not there():
        assert time.monotonic() < end, f"{what} did not come within {WAIT_SECONDS:g} s"
        time.sleep(0.1)


class Houses:
    """Each role's network, folder and containers, and the store between them. It has state because containers live."""

    def __init__(self, docker: Docker, images: dict[str, str], folder: Path, job: Job) -> None:
        self.docker, self._folder, self._names = docker, folder, list[str]()
        self.networks = {role: f"fl-{role}" for role in TASKS}
        for network in self.networks.values():
            docker.call("network", "create", "--internal", network)
        self._address = self._start_store(images["server"], folder / "minio")
        self._tasks: dict[str, CompiledTask] = {}
        self.compile(job)
        for role, policy in policies(job, BUCKET, PREFIX).items():
            admin = MinioAdmin(endpoint=self._address, credentials=StaticProvider("root", PASSWORD), secure=False, region="us-east-1")
            admin.user_add(role, PASSWORD)
            admin.policy_add(role, policy=dict(policy))
            admin.attach_policy([role], user=role)

    def compile(self, job: Job, start_seconds: float = live.START_SECONDS) -> None:
        """Compiles the job; containers that are started from now on run its tasks."""
        given = {"store": f"s3://{BUCKET}/{PREFIX}", "run": RUN}
        self._tasks = tasks_of(compile_text(job, lay=partial(live.build, start_seconds=start_seconds)), given)

    def _start_store(self, image: str, folder: Path) -> str:
        """A MinIO on every network; gives its address on the server's, which this machine reaches too."""
        give_to(USER, folder)
        words = ["--network", self.networks[SERVER], "--network-alias", "store", "--volume", f"{folder}:/data", "--volume", f"{minio_binary()}:/minio:ro"]
        secrets = ["--env", "MINIO_ROOT_USER=root", "--env", f"MINIO_ROOT_PASSWORD={PASSWORD}", "--env", "MINIO_BROWSER=off"]
        self.docker.call("run", "--detach", "--name", "store", *HARDENED, *words, *secrets, image, "/minio", "server", "--quiet", "/data")
        self._names.append("store")
        for network in self.networks.values():
            if network != self.networks[SERVER]:
                self.docker.call("network", "connect", "--alias", "store", network, "store")
        where = f'{{{{(index .NetworkSettings.Networks "{self.networks[SERVER]}").IPAddress}}}}'
        address = f"{self.docker.call('inspect', '--format', where, 'store')}:9000"
        http = PoolManager(timeout=Timeout(5), retries=False)
        client = Minio(address, "root", PASSWORD, secure=False, region="us-east-1", http_client=http)

        def answers() -> bool:
            try:
                client.list_buckets()
            except (MinioException, HTTPError):
                return False
            return True

        until(answers, "the store")
        client.make_bucket(BUCKET)
        return address

    @property
    def store(self) -> Store:
        """The run as this machine sees it."""
        return S3Store(Settings(f"http://{self._address}", "us-east-1", "root", PASSWORD), BUCKET, f"{PREFIX}/runs/{RUN}")

    def start(self, name: str, role: str) -> None:
        """Starts the role's task in a container of this name, on the role's network, with the role's credentials and private place."""
        task, private = self._tasks[TASKS[role]], self._folder / role
        give_to(USER, private)
        environment = {"AWS_ENDPOINT_URL_S3": "http://store:9000", "AWS_ACCESS_KEY_ID": role, "AWS_SECRET_ACCESS_KEY": PASSWORD, "FL_PRIVATE": "/private"}
        words = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
        words += ["--network", self.networks[role], "--volume", f"{private}:/private"]
        self.docker.call("run", "--detach", "--name", name, *HARDENED, *words, task.image, *task.words("/tmp/outputs"))
        self._names.append(name)

    def kill(self, name: str) -> None:
        """Ends a container at once, as when its node dies."""
        self.docker.call("rm", "--force", name)

    def kill_role(self, name: str) -> None:
        """Kills the supervised role in a container that goes on living."""
        listed = self.docker.call("top", name, "-eo", "pid,args").splitlines()
        (role,) = (int(line.split()[0]) for line in listed if line.endswith("-m fl_core.role"))
        os.kill(role, signal.SIGKILL)

    def wait(self, name: str) -> int:
        return int(self.docker.call("wait", name, timeout=WAIT_SECONDS))

    def said(self, name: str) -> str:
        return self.docker.said(name)

    def reaches(self, role: str, other: str) -> bool:
        """Whether a role's network has a way to a container."""
        where = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        (address,) = self.docker.call("inspect", "--format", where, other).split()
        tried = f"import socket; s = socket.socket(); s.settimeout(2); print(s.connect_ex(('{address}', 1)))"
        said = self.docker.call("run", "--rm", *HARDENED, "--network", self.networks[role], "paddlefl/server:0.3.0", "python3", "-c", tried)
        return said == "111"  # refused by the other side, which was therefore reached

    def end(self) -> None:
        self.docker.call("rm", "--force", "--volumes", *self._names, check=False)
        self.docker.call("network", "rm", *self.networks.values(), check=False)


@pytest.fixture
def houses(docker: Docker, images: dict[str, str], tmp_path: Path) -> Iterator[Houses]:
    found = Houses(docker, images, tmp_path, parse_job(JOB))
    yield found
    found.end()


def test_killed_and_joined_containers_on_separate_networks_end_in_the_digest_of_one_process(houses: Houses, tmp_path: Path, pool: Pool) -> None:
    store = houses.store
    alone = run(parse_job(JOB), out=tmp_path / "alone", pool=pool)
    for name in TASKS:
        houses.start(name, name)
    assert houses.reaches("hospital-a", "hospital-a")
    assert not houses.reaches("hospital-a", "hospital-b")

    until(lambda: store.exists(close_key(2)), "round 2")
    houses.start("hospital-b-too", "hospital-b")
    houses.kill("hospital-a")
    houses.start("hospital-a", "hospital-a")
    houses.kill_role("server")
    until(lambda: store.exists(close_key(5)), "round 5")
    houses.kill("server")
    houses.kill_role("hospital-b")
    assert not store.exists("summary.json")
    houses.start("server", "server")

    codes = {name: houses.wait(name) for name in (*TASKS, "hospital-b-too")}
    said = {name: houses.said(name) for name in codes}
    assert codes == dict.fromkeys(codes, 0), said
    assert "The role was killed by signal 9; it is started again" in said["hospital-b"]
    assert all("the run 'live' ended after 12 rounds" in said[name] for name in ("hospital-a", "hospital-b", "hospital-b-too"))
    found = verify(store)
    assert (found.found, found.digest) == ([], alone.digest)


def test_who_does_not_come_is_named_and_a_resubmitted_run_goes_on(houses: Houses) -> None:
    houses.compile(parse_job(JOB, ["rounds=2"]), start_seconds=20.0)
    for name in (SERVER, "hospital-a"):
        houses.start(name, name)
    assert {name: houses.wait(name) for name in (SERVER, "hospital-a")} == {SERVER: 3, "hospital-a": 3}
    assert "did not come together within 20 s: " in houses.said(SERVER)
    assert houses.said(SERVER).rstrip().endswith("hospital-b did not arrive.")
    assert "The server stopped the run: The federation did not come together" in houses.said("hospital-a")

    houses.compile(parse_job(JOB, ["rounds=2"]))
    for name in ("hospital-a", "hospital-b", SERVER):
        houses.start(f"{name}-again", name)
    codes = {name: houses.wait(f"{name}-again") for name in TASKS}
    assert codes == dict.fromkeys(TASKS, 0), {name: houses.said(f"{name}-again") for name in codes}
    assert houses.store.exists("summary.json")
