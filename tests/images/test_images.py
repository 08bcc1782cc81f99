"""The images' locks are parts of the lock of the whole, and the Dockerfiles say what a cluster asks of them."""

import re
import tarfile
import tomllib
from pathlib import Path

import pytest

from components import SERVER_IMAGE, WORKER_IMAGE
from images.build import VERSION, as_root, context_files
from images.lock import requirements, without
from pipelines.cluster import USER

ROOT = Path(__file__).parents[2]
WHOLE = requirements((ROOT / "requirements.lock").read_text())
LOCKS = {name: requirements((ROOT / "images" / f"{name}.lock").read_text()) for name in ("build", "server", "worker")}
DOCKERFILES = {name: (ROOT / "images" / f"{name}.Dockerfile").read_text() for name in ("server", "worker")}


def names(lock: dict[str, str]) -> set[str]:
    return {requirement.partition("==")[0] for requirement in lock}


@pytest.mark.parametrize("name", ["server", "worker"])
def test_an_image_has_the_versions_and_hashes_of_the_whole(name: str) -> None:
    assert set(LOCKS[name]) <= set(WHOLE)
    for requirement, lines in LOCKS[name].items():
        assert "--hash=sha256:" in lines
        assert hashes(lines) <= hashes(WHOLE[requirement])


def hashes(lines: str) -> set[str]:
    return set(re.findall(r"sha256:[0-9a-f]{64}", lines))


def test_the_server_has_no_paddle_and_the_worker_only_what_the_server_has_not() -> None:
    assert {"kfp", "minio", "numpy", "safetensors", "prometheus-client"} <= names(LOCKS["server"])
    assert not names(LOCKS["server"]) & {"paddlepaddle", "scikit-learn", "scipy", "setuptools"}
    assert {"paddlepaddle", "scikit-learn", "setuptools"} <= names(LOCKS["worker"])
    assert not names(LOCKS["worker"]) & names(LOCKS["server"])


def test_a_lock_without_another_keeps_the_rest_whole() -> None:
    assert without("a==1 \\\n    --hash=x\nb==2 \\\n    --hash=y\n    --hash=z\n", "a==1 \\\n    --hash=x\n") == "b==2 \\\n    --hash=y\n    --hash=z\n"


@pytest.mark.parametrize("name", ["server", "worker"])
def test_a_dockerfile_is_an_ordinary_one_and_ends_as_the_clusters_user(name: str) -> None:
    lines = DOCKERFILES[name].splitlines()
    assert "ARG BASE=python:3.11-slim" in lines
    assert [line for line in lines if line.startswith("USER")][-1] == f"USER {USER}:{USER}"
    assert not [line for line in lines if line.startswith(("# syntax", "ENTRYPOINT", "ADD")) or "http" in line]
    assert "org.opencontainers.image.title" in DOCKERFILES[name]


def test_images_and_package_have_one_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert (f"paddlefl/server:{VERSION}", f"paddlefl/worker:{VERSION}") == (SERVER_IMAGE, WORKER_IMAGE)
    assert f"ARG SERVER_IMAGE={SERVER_IMAGE}" in DOCKERFILES["worker"]


def test_the_context_holds_what_is_copied_and_nothing_compiled_or_private(tmp_path: Path) -> None:
    places = [place for _, place in context_files("server", [tmp_path / "some.whl"])]
    assert {"images/server.lock", "images/server.Dockerfile", "wheels/some.whl", "pyproject.toml", "fl_core/job.py", "fl_core/templates/page.html"} <= set(
        places
    )
    assert not [place for place in places if "__pycache__" in place or place.startswith((".venv", ".git", "tests", "store"))]
    assert "fl_core/job.py" not in [place for _, place in context_files("worker", [])]


def test_the_same_sources_make_the_same_context() -> None:
    file = tarfile.TarInfo("fl_core/job.py")
    file.mode, file.mtime, file.uid, file.uname = 0o664, 1_700_000_000, 501, "someone"
    made = as_root(file)
    assert (made.mode, made.mtime, made.uid, made.uname) == (0o644, 0, 0, "")
