"""A role that a pipeline starts takes its orders as they are, and refuses in one sentence what it was not compiled for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fl_core import role
from fl_core.errors import InputError, SignatureError, StoreError
from fl_core.generator import write_job
from fl_core.run_folder import Run
from fl_core.stage import private_of
from fl_core.store import PRIVATE, DictStore, FileStore
from tests.jobs import tiny_job


def test_a_worker_runs_no_program_but_the_one_that_it_was_compiled_for(tmp_path: Path) -> None:
    write_job(Run("r", tiny_job(), FileStore(tmp_path / "runs" / "r"), FileStore(tmp_path / "server", PRIVATE)), keys="roster")
    with pytest.raises(SignatureError, match=r"The run's program has sha256 .*, and this pipeline was compiled for abababababababab…; compile the job again"):
        role.work(str(tmp_path), "r", "worker-0", "ab" * 32, 0.0)


def test_a_run_that_does_not_appear_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"There is no run 'r' in file:.*runs/r after 0 s; did the server's task start\?"):
        role.work(str(tmp_path), "r", "worker-0", tiny_job().program_sha256, 0.0)


def test_who_does_not_come_is_named_and_the_role_ends_with_exit_code_3(tmp_path: Path) -> None:
    orders = {
        "store": str(tmp_path),
        "run": "r",
        "bundle": tiny_job().bundle(),
        "overrides": "rounds=1",
        "start_from": "",
        "seed": "",
        "fixed": "",
        "start_seconds": 0.1,
    }
    told = json.dumps({"role": "serve", "orders": orders})
    ended = subprocess.run([sys.executable, "-m", "fl_core.role"], input=told, text=True, capture_output=True, check=False, timeout=120)
    assert ended.returncode == 3
    assert ended.stderr == "The federation did not come together within 0.1 s: worker-0, worker-1 did not arrive.\n"


def test_a_pod_that_would_lose_its_keys_says_where_to_put_them(monkeypatch: pytest.MonkeyPatch) -> None:
    place = DictStore({})
    for name in ("FL_PRIVATE", "FL_RUNNER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"FL_PRIVATE is not set; it says where this role keeps its keys .* put it into the Secret"):
        private_of(place)
    monkeypatch.setenv("FL_PRIVATE", "s3://private-bucket")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    assert private_of(FileStore(Path("/store/runs/r"))).uri == "s3://private-bucket/r"
