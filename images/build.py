"""Builds the images with `docker build`: `make images`. What the locks name is fetched once by this machine's own pip, so that the builds need no index.

The wheels are kept in ${XDG_CACHE_HOME:-~/.cache}/paddlefl/wheels. On another system or processor than the images' the builds fetch for themselves.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = "0.3.0"
SOURCES = ("pyproject.toml", "LICENSE", "README.md", "fl_core", "components", "pipelines")
IMAGES = {"server": ("build", "server"), "worker": ("worker",)}
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/build/wheels"}
FETCH_SECONDS, BUILD_SECONDS = 1800, 3600


def main(names: Sequence[str]) -> None:
    for name in names or IMAGES:
        print(build(name), flush=True)


def build(name: str, *, base: str = "", environment: dict[str, str] | None = None) -> str:
    """Builds `paddlefl/NAME:VERSION` and gives its name; CalledProcessError where docker or pip fails. `base` stands in for the Dockerfile's own."""
    image = f"paddlefl/{name}:{VERSION}"
    wheels = fetch_wheels(IMAGES[name]) if has_fitting_wheels() else []
    words = {**(OFFLINE if wheels else _index()), "VERSION": VERSION, **({"BASE": base} if base else {})}
    command = ["docker", "build", "--network", "host", "--tag", image, "--file", f"images/{name}.Dockerfile"]
    command += [word for key, value in words.items() for word in ("--build-arg", f"{key}={value}")]
    docker = subprocess.Popen([*command, "-"], stdin=subprocess.PIPE, env={**os.environ, **(environment or {})})
    assert docker.stdin
    with suppress(BrokenPipeError), docker.stdin, tarfile.open(mode="w|", fileobj=docker.stdin, format=tarfile.GNU_FORMAT) as context:
        for path, place in context_files(name, wheels):
            context.add(path, place, filter=as_root)
    if docker.wait(BUILD_SECONDS):
        raise subprocess.CalledProcessError(docker.returncode, command)
    return image


def context_files(name: str, wheels: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """What the Dockerfile may copy, and under which name."""
    yield from ((path, f"images/{path.name}") for path in sorted((ROOT / "images").iterdir()) if path.suffix in (".lock", ".Dockerfile"))
    yield from ((path, f"wheels/{path.name}") for path in wheels)
    if name == "server":
        for source in SOURCES:
            paths = sorted((ROOT / source).rglob("*")) if (ROOT / source).is_dir() else [ROOT / source]
            yield from ((path, str(path.relative_to(ROOT))) for path in paths if path.is_file() and "__pycache__" not in path.parts)


def as_root(file: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without who and when, so that the same content is the same layer."""
    return file.replace(uid=0, gid=0, uname="", gname="", mode=0o644, mtime=0, deep=False)


def has_fitting_wheels() -> bool:
    """Whether what pip fetches here is what an image needs."""
    return sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info[:2] == (3, 11)


def fetch_wheels(locks: Sequence[str]) -> list[Path]:
    """The packages of the locks, checked against their hashes, from the cache or through this machine's pip."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paddlefl" / "wheels"
    found: list[Path] = []
    for name in locks:
        lock = ROOT / "images" / f"{name}.lock"
        folder = cache / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
        if not folder.exists():
            draft = folder.with_name(f"{folder.name}.{os.getpid()}")
            command = [*_pip(), "download", "--quiet", "--no-deps", "--require-hashes", "--requirement", str(lock), "--dest", str(draft)]
            subprocess.run(command, check=True, timeout=FETCH_SECONDS)
            os.replace(draft, folder)
        found += sorted(folder.iterdir())
    return found


def _pip() -> list[str]:
    """The pip of this interpreter, of the one below it, or of the path: a virtual environment may be without."""
    for python in dict.fromkeys((sys.executable, getattr(sys, "_base_executable", sys.executable))):
        if subprocess.run([python, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0:
            return [python, "-m", "pip"]
    if not shutil.which("pip"):
        raise SystemExit("No pip was found to fetch what the images need; run `make setup`.")
    return ["pip"]


def _index() -> dict[str, str]:
    return {"PIP_INDEX_URL": os.environ["PIP_INDEX_URL"]} if os.environ.get("PIP_INDEX_URL") else {}


if __name__ == "__main__":
    main(sys.argv[1:])
