"""The manifests with the real tools: rendered by kustomize itself, and their accounts made in a real MinIO."""

import os
import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

from fl_core.errors import StoreError
from fl_core.s3 import S3Store
from tests.manifests.render import MANIFESTS, TARGETS, Object, identity, render
from tests.services.minio_server import MinioServer, _go_install

KUSTOMIZE = "v5.5.0"


@pytest.fixture(scope="module")
def kustomize() -> list[str]:
    """`kubectl kustomize` where kubectl is there, else kustomize, built once at a pinned version."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paddlefl" / f"kustomize-{KUSTOMIZE}"
    if not (cache / "kustomize").exists():
        _go_install(f"sigs.k8s.io/kustomize/kustomize/v5@{KUSTOMIZE}", cache)
    return [str(cache / "kustomize"), "build"]


def by_name(objects: list[Object]) -> dict[Any, Object]:
    return {identity(one): one for one in objects}


@pytest.mark.parametrize("target", TARGETS)
def test_the_renderer_of_the_tests_renders_as_kustomize_does(kustomize: list[str], target: str) -> None:
    made = subprocess.run([*kustomize, str(MANIFESTS / target)], check=True, capture_output=True, text=True, timeout=120).stdout
    assert by_name([one for one in yaml.safe_load_all(made) if one]) == by_name(render(MANIFESTS / target))


def run_accounts(minio: MinioServer, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    spec = spec_from_file_location("accounts", MANIFESTS / "store/accounts.py")
    assert spec
    assert spec.loader
    accounts = module_from_spec(spec)
    spec.loader.exec_module(accounts)
    monkeypatch.setenv("MINIO_ROOT_USER", minio.user)
    monkeypatch.setenv("MINIO_ROOT_PASSWORD", minio.password)
    accounts.main(["--server", f"127.0.0.1:{minio.port}", *words])


def write_keys(folder: Path, roles: list[str], mark: str) -> None:
    for role in roles:
        (folder / role).mkdir()
        (folder / role / "access").write_text(f"{mark}-{role}")
        (folder / role / "secret").write_text(f"secret-of-{mark}-{role}")


def seen_by(minio: MinioServer, bucket: str, role: str, mark: str) -> S3Store:
    return S3Store(minio.settings(user=f"{mark}-{role}", password=f"secret-of-{mark}-{role}"), bucket)


def test_accounts_made_twice_open_their_buckets_and_no_other(minio: MinioServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_keys(tmp_path, ["all"], "demo")
    other = minio.new_bucket()
    for _ in range(2):
        run_accounts(minio, monkeypatch, "--bucket", "demo-runs", "--bucket", "demo-artifacts", "--accounts", str(tmp_path))
    for bucket in ("demo-runs", "demo-artifacts"):
        assert seen_by(minio, bucket, "all", "demo").put("runs/one/key", b"x")
    with pytest.raises(StoreError):
        seen_by(minio, other, "all", "demo").put("runs/one/key", b"x")


def test_accounts_of_the_standalone_job_keep_workers_apart(minio: MinioServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_keys(tmp_path, ["server", "worker-0", "worker-1"], "alone")
    job = str(MANIFESTS / "standalone/base/digits.yaml")
    run_accounts(minio, monkeypatch, "--bucket", "standalone", "--accounts", str(tmp_path), "--job", job)
    reply = "runs/first/rounds/0001/train/worker-0/000.safetensors"
    assert seen_by(minio, "standalone", "server", "alone").put("runs/first/rounds/0001/plan.json", b"{}")
    assert seen_by(minio, "standalone", "worker-0", "alone").put(reply, b"x")
    assert not seen_by(minio, "standalone", "worker-1", "alone").exists("runs/first/status.json")  # what await_store.py asks
    with pytest.raises(StoreError):
        seen_by(minio, "standalone", "worker-1", "alone").put(reply, b"y")
