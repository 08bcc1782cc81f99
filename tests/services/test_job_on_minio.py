"""A whole job on MinIO: the same digest as in a folder, in one process, and as separate roles that may each do no more than their policy says."""

import json
import os
from pathlib import Path

import pytest

from fl_core import run
from fl_core.policy import policies
from fl_core.pool import Pool
from fl_core.runner import open_run
from fl_core.store import open_store
from tests.jobs import DIGITS, tiny_job
from tests.services.kills import fl
from tests.services.minio_server import MinioServer
from tests.services.test_policies import new_user


@pytest.fixture
def folder_digest(tmp_path: Path, pool: Pool) -> str:
    return run(tiny_job(), out=tmp_path / "in-a-folder", pool=pool).digest


def test_a_job_ends_in_the_same_bits_on_minio_and_in_a_folder(minio: MinioServer, folder_digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)
    store = f"s3://{minio.new_bucket()}/hospital"
    with Pool(2) as own_pool:
        result = run(tiny_job(), store=store, name="one", pool=own_pool)
    assert result.digest == folder_digest
    assert open_run(f"{store}/runs/one").record("summary.json")["digest"] == folder_digest
    assert json.loads(bytes(open_store(f"{store}/runs/one").get("journal.jsonl")).splitlines()[-1])["event"] == "finished"


def test_a_federation_whose_roles_have_only_their_policies_ends_in_the_same_bits(minio: MinioServer, folder_digest: str, tmp_path: Path) -> None:
    job, bucket = tmp_path / "job.yaml", minio.new_bucket()
    job.write_text(DIGITS)
    users = {role: new_user(minio, f"{bucket}-{role}", policy) for role, policy in policies(tiny_job(), bucket, "hospital").items()}
    processes = []
    for role in ("server", "worker-0", "worker-1"):
        user, password = users[role]
        environment = {**os.environ, **minio.environment(), "AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": password}
        place = ["--store", f"s3://{bucket}/hospital", "--run", "one", "--private", str(tmp_path / role)]
        words = ["serve", str(job), *place] if role == "server" else ["work", str(job), *place, "--worker", role, "--processes", "1"]
        processes.append(fl(words, environment))
    try:
        assert [process.wait(300) for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
    summary = json.loads(minio.client().get_object(bucket, "hospital/runs/one/summary.json").read())
    assert summary["digest"] == folder_digest
