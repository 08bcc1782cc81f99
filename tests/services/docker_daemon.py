"""A real Docker for tests: Debian's dockerd, installed where it is missing, started by hand on a folder of the cache, and stopped afterwards.

There is no image registry: what the Dockerfiles call `python:3.11-slim` is made here once from Debian's packages, and lives in that folder with the layers.
"""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from images.build import IMAGES, build, fetch_wheels

BASE = "python:3.11-slim"
PACKAGES = ("docker.io", "debootstrap", "iptables")
IN_BASE = ("python3.11", "python3-pip", "ca-certificates")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INSTALL_SECONDS, BASE_SECONDS, START_SECONDS, STOP_SECONDS = 900, 1800, 60, 30


class NoDocker(RuntimeError):
    """Docker cannot be had here; its text says why."""


class Docker:
    """A running dockerd. It has state because a server lives."""

    def __init__(self, cache: Path, folder: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder, self.host = folder, f"unix://{folder}/docker.sock"
        self._start(cache / "docker")

    def _start(self, data: Path) -> None:
        command = ["dockerd", "--host", self.host, "--data-root", str(data), "--exec-root", str(self._folder / "exec"), "--pidfile", str(self._folder / "pid")]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen([*command, "--bridge", "none"], stdout=log, stderr=log, preexec_fn=_end_with_the_parent)
        end = time.monotonic() + START_SECONDS
        while subprocess.run(["docker", "info"], env=self.environment(), check=False, capture_output=True).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                said = (self._folder / "log").read_text(errors="replace").strip().splitlines()
                self.stop()
                raise NoDocker(f"dockerd did not start here ({said[-1] if said else 'it said nothing'}); it needs root and control groups.")
            time.sleep(0.1)

    def stop(self) -> None:
        assert self._process
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        subprocess.run(["umount", "--lazy", str(self._folder / "exec" / "netns" / "default")], check=False, capture_output=True)

    def environment(self) -> dict[str, str]:
        """What a client needs to find this server; the plain builder is asked for, because Debian's docker has no other."""
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}

    def call(self, *words: str, timeout: float = 120, check: bool = True) -> str:
        """What `docker WORDS` prints; AssertionError with both of its streams where it fails."""
        done = subprocess.run(["docker", *words], env=self.environment(), check=False, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"docker {words[0]} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout.strip()

    def said(self, container: str) -> str:
        """What a container wrote to both of its streams."""
        words = ["docker", "logs", container]
        return subprocess.run(words, env=self.environment(), check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120).stdout

    def run(self, image: str, *words: str, options: Sequence[str] = (), timeout: float = 300) -> str:
        """What a container prints that may do nothing: read-only, no capabilities, no network."""
        return self.call("run", "--rm", *HARDENED, "--network", "none", *options, image, *words, timeout=timeout)

    def has(self, image: str) -> bool:
        return bool(self.call("images", "--quiet", image))


HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")


@contextmanager
def running_docker() -> Iterator[Docker]:
    """A dockerd of one's own; NoDocker with one sentence where there can be none. Only one at a time works on the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paddlefl"
    cache.mkdir(parents=True, exist_ok=True)
    if os.geteuid():
        raise NoDocker("The tests of images need root to start dockerd; run them as root, or set FL_SERVICES_SKIP_DOCKER=1 to leave them out.")
    with open(cache / "docker.lock", "w") as lock, tempfile.TemporaryDirectory(prefix="fl-") as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install()
        docker = Docker(cache, Path(folder))
        try:
            yield docker
        finally:
            docker.call("image", "prune", "--force", "--filter", "until=24h", check=False)
            docker.stop()


def build_images(docker: Docker) -> dict[str, str]:
    """Both images by their short names; base and wheels are got at the same time, where they are missing."""
    with ThreadPoolExecutor(1) as aside:
        fetching = aside.submit(fetch_wheels, [lock for locks in IMAGES.values() for lock in locks])
        if not docker.has(BASE):
            _make_base(docker)
        fetching.result()
    return {name: build(name, environment=docker.environment()) for name in IMAGES}


def _install() -> None:
    if all(shutil.which(program) for program in ("dockerd", "debootstrap", "iptables")):
        return
    if not shutil.which("apt-get"):
        raise NoDocker("dockerd or debootstrap is missing and there is no apt-get to install it with; install Docker and debootstrap.")
    for words in (["update", "--quiet"], ["install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES]):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(["apt-get", *words], env=environment, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if done.returncode:
            raise NoDocker(f"'apt-get {words[0]}' failed: {done.stderr.strip().splitlines()[-1]}")


def _make_base(docker: Docker) -> None:
    """A Debian with Python and pip, as the official image has them."""
    with tempfile.TemporaryDirectory(prefix="fl-") as folder:
        root = Path(folder) / "base"
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(IN_BASE)}", "bookworm", str(root), *_mirror()]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=BASE_SECONDS)
        if done.returncode:
            raise NoDocker(f"debootstrap failed: {done.stdout.strip().splitlines()[-1]}")
        if CERTIFICATES.exists():
            shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        for name, target in {"python3": "python3.11", "python": "python3.11", "pip": "pip3"}.items():
            (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{target}")
        for left in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / left)
            (root / left / "partial").mkdir(parents=True)
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["docker", "import", "-", BASE], stdin=tar.stdout, env=docker.environment(), check=True, capture_output=True, timeout=BASE_SECONDS)


def _mirror() -> list[str]:
    """Where this machine's own apt gets Debian from; nothing where it does not say, and debootstrap then knows a place."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"], check=False, capture_output=True, text=True).stdout
    found = [line.split()[1] for line in listed.splitlines() if line.startswith("bookworm ") and "debian" in line]
    return found[:1]


def _end_with_the_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def give_to(user: int, *folders: Path) -> None:
    """Makes folders, and all that is in them, a user's own."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, user, user)


def settings_of(docker: Docker, image: str) -> Mapping[str, Any]:
    """What an image says of itself."""
    return json.loads(docker.call("inspect", image))[0]  # type: ignore[no-any-return]
