"""A real MinIO for tests: built once from its source at a pinned version, started on a loopback port with a folder and credentials of its own."""

import ctypes
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioException
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from fl_core.s3 import S3Store
from fl_core.s3_settings import Limits, Settings

VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
GO_NEEDED = (1, 24)
BUILD_SECONDS = 3600
START_SECONDS = 60


def minio_binary() -> Path:
    """The server's program, from the cache or built into it, which takes some minutes once; RuntimeError where that cannot be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paddlefl"
    program = cache / f"minio-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            build = cache / f"build-{os.getpid()}"
            _go_install(f"github.com/minio/minio@{VERSION}", build)
            os.replace(build / "minio", program)
            shutil.rmtree(build)
    return program


def _go_install(module: str, folder: Path) -> None:
    found = subprocess.run(["go", "version"], check=False, capture_output=True, text=True) if shutil.which("go") else None
    version = re.search(r"go(\d+)\.(\d+)", found.stdout) if found else None
    if version is None or tuple(map(int, version.groups())) < GO_NEEDED:
        raise RuntimeError(f"Building MinIO needs Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or newer; install it and put it on the PATH.")
    environment = {**os.environ, "GOBIN": str(folder)}
    result = subprocess.run(["go", "install", module], check=False, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS)
    if result.returncode:
        raise RuntimeError(f"MinIO could not be built with 'go install {module}': {result.stderr.strip().splitlines()[-1]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MinioServer:
    """A server process that can be killed and started again on its folder. It dies with the thread that started it, so start it in the main one."""

    def __init__(self, folder: Path, certificates: Path | None = None) -> None:
        self._program, self._folder, self._certificates = minio_binary(), folder, certificates
        self.port, self.user, self.password = free_port(), f"root-{secrets.token_hex(4)}", secrets.token_hex(16)
        self.endpoint = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        command = [str(self._program), "server", "--quiet", "--address", f"127.0.0.1:{self.port}"]
        command += ["--certs-dir", str(self._certificates)] if self._certificates else []
        names = {"MINIO_ROOT_USER": self.user, "MINIO_ROOT_PASSWORD": self.password, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}
        names["MINIO_PROMETHEUS_AUTH_TYPE"] = "public"
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*command, str(self._folder / "data")], env={"PATH": os.environ["PATH"], "HOME": str(self._folder), **names}, stdout=log, stderr=log,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL),
            )  # fmt: skip
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process
        end = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"MinIO did not start: {(self._folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        """Whether it answers a signed request; its health page says so too early, and then a client is told to come back in a minute."""
        try:
            self.client().list_buckets()
        except (MinioException, HTTPError):
            return False
        return True

    def kill(self) -> None:
        """Ends the server as `kill -9` does."""
        assert self._process
        self._process.kill()
        self._process.wait(30)

    def environment(self) -> dict[str, str]:
        """What a user sets to reach this server."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": self.user, "AWS_SECRET_ACCESS_KEY": self.password}

    def settings(self, endpoint: str | None = None, limits: Limits | None = None, user: str | None = None, password: str | None = None) -> Settings:
        return Settings(endpoint or self.endpoint, "us-east-1", user or self.user, password or self.password, limits=limits or Limits())

    def client(self) -> Minio:
        trusted = {"ca_certs": str(self._certificates / "public.crt")} if self._certificates else {}
        http = PoolManager(timeout=Timeout(5), retries=False, **trusted)
        return Minio(f"127.0.0.1:{self.port}", self.user, self.password, secure=bool(self._certificates), region="us-east-1", http_client=http)

    def admin(self) -> MinioAdmin:
        return MinioAdmin(endpoint=f"127.0.0.1:{self.port}", credentials=StaticProvider(self.user, self.password), secure=False, region="us-east-1")

    def new_bucket(self) -> str:
        """The name of a bucket that nobody else uses."""
        name = f"test-{secrets.token_hex(6)}"
        self.client().make_bucket(name)
        return name

    def new_store(self) -> S3Store:
        return S3Store(self.settings(), self.new_bucket(), "some/prefix")
