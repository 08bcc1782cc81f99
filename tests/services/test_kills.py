"""A run that is killed with kill -9 thirty times ends in the digest of the undisturbed run, on a file system and on MinIO."""

import json
from collections import Counter
from pathlib import Path

import pytest

from fl_core.runner import open_run
from fl_core.store import Store, open_store
from fl_core.verify import verify
from tests.services.kills import JOB, Kills, events, fl, kill_often
from tests.services.minio_server import MinioServer

KILLS = 30


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kills") / "job.yaml"
    path.write_text(JOB)
    return path


@pytest.fixture(scope="module")
def undisturbed(job: Path) -> dict:
    out = job.parent / "undisturbed"
    assert fl(["run", str(job), "--out", str(out)], {}).wait(300) == 0
    return json.loads((out / "summary.json").read_bytes())


def _check(store: Store, undisturbed: dict, kills: Kills) -> None:
    summary = open_run(store.uri).record("summary.json")
    assert summary["digest"] == undisturbed["digest"]
    assert kills.mid_run + kills.pool >= 25
    assert set(kills.stages) >= {"select", "train", "close", "evaluate"}
    trained = Counter((e["round"], e["worker"], e["part"]) for e in events(store) if e["event"] == "done")
    assert max(trained.values()) == 1, "a reply that had arrived was trained again"
    assert any(e["event"] == "found" for e in events(store))
    assert verify(store).found == []


def test_a_run_killed_thirty_times_keeps_its_digest(job: Path, undisturbed: dict, tmp_path: Path) -> None:
    assert undisturbed["seconds"] >= 20, "the undisturbed run is too short to be killed thirty times"
    out = tmp_path / "run"
    store = open_store(str(out))
    kills = kill_often(["run", str(job), "--out", str(out)], str(out), store, {}, KILLS, out, seed=1)
    print(f"kills mid-run {kills.mid_run}, of training processes {kills.pool}, during a write {kills.drafts}, by stage {dict(kills.stages)}")
    assert kills.drafts >= 1
    _check(store, undisturbed, kills)


def test_a_run_on_minio_killed_thirty_times_keeps_its_digest(
    job: Path, undisturbed: dict, tmp_path: Path, minio: MinioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    root = f"s3://{minio.new_bucket()}/federation"
    store = open_store(f"{root}/runs/killed")
    kills = kill_often(["run", str(job), "--store", root, "--name", "killed"], store.uri, store, {}, KILLS, None, seed=2)
    print(f"kills mid-run {kills.mid_run}, of training processes {kills.pool}, by stage {dict(kills.stages)}")
    _check(store, undisturbed, kills)
