"""What a stage's container gets: the run's folders, the files that the job names, no network unless the store needs one, and never root's rights."""

import os
from pathlib import Path

import pytest

from components import SERVER_IMAGE, WORKER_IMAGE
from fl_core.job import parse_job
from fl_core.run_folder import Run
from fl_core.store import PRIVATE, DictStore, FileStore
from pipelines.containers import container_arguments, images_of
from tests.jobs import DIGITS, tiny_job


def test_a_run_in_a_folder_gets_its_own_folders_and_no_network(tmp_path: Path) -> None:
    one = Run("r", tiny_job(), FileStore(tmp_path / "runs" / "r"), FileStore(tmp_path / "runs" / "r.private", PRIVATE))
    told = container_arguments(one, tmp_path / "scratch")
    assert told["folders"] == [str(tmp_path / name) for name in ("runs/r", "runs/r.private", "scratch")]
    assert (tmp_path / "runs" / "r").is_dir()
    assert told["read_only_folders"] == []
    arguments = told["arguments"]
    assert (arguments["network_mode"], arguments["read_only"], arguments["cap_drop"]) == ("none", True, ["ALL"])
    assert arguments["user"] == f"{os.getuid()}:{os.getgid()}"
    assert told["environment"] == {"FL_RUNNER": "docker", "FL_FAILURE": str(tmp_path / "scratch" / "failure.json")}


def test_the_files_that_a_job_names_can_be_read_and_not_written(tmp_path: Path) -> None:
    data, start = tmp_path / "patients.csv", tmp_path / "model.safetensors"
    for file in (data, start):
        file.touch()
    job = parse_job(DIGITS, [f"data={{name: csv, path: {data}, label: y, partition: iid}}", f"start_from={start}"])
    one = Run("r", job, FileStore(tmp_path / "r"), FileStore(tmp_path / "r.private", PRIVATE))
    assert container_arguments(one, tmp_path / "scratch")["read_only_folders"] == sorted([str(data), str(start)])


def test_a_job_that_publishes_reaches_the_registry(tmp_path: Path) -> None:
    job = tiny_job("publish={metric: accuracy}")
    one = Run("r", job, FileStore(tmp_path / "out"), FileStore(tmp_path / "out.private", PRIVATE), root=FileStore(tmp_path / "store"))
    assert str(tmp_path / "store" / "models") in container_arguments(one, tmp_path / "scratch")["folders"]


def test_a_run_elsewhere_gets_the_network_its_credentials_and_a_private_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("HOME_SECRET", "mine")
    one = Run("r", tiny_job(), DictStore({}), FileStore(tmp_path / "private" / "r", PRIVATE))
    told = container_arguments(one, tmp_path / "scratch")
    assert told["arguments"]["network_mode"] == "host"
    assert (told["environment"]["AWS_ACCESS_KEY_ID"], told["environment"]["FL_PRIVATE"]) == ("me", str(tmp_path / "private"))
    assert "HOME_SECRET" not in told["environment"]


def test_a_worker_may_bring_an_image_of_its_own() -> None:
    assert images_of(tiny_job()) == [SERVER_IMAGE, WORKER_IMAGE]
    job = tiny_job('federation={workers: [{name: w, kubernetes: {image: "registry.example/worker:9"}}]}')
    assert images_of(job) == [SERVER_IMAGE, WORKER_IMAGE, "registry.example/worker:9"]
