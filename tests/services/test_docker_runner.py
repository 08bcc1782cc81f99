"""`fl run --runner docker`: every stage in a container without network and rights, and the digest of one process."""

import json
from pathlib import Path

import pytest

from fl_core import run
from fl_core.errors import InputError
from fl_core.pool import Pool
from pipelines.cli import main
from pipelines.local import run_local
from tests.jobs import DIGITS, tiny_job
from tests.services.docker_daemon import Docker
from tests.services.minio_server import free_port


@pytest.fixture(autouse=True)
def found_docker(docker: Docker, images: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker.host)


def test_two_workers_in_containers_end_in_the_digest_of_one_process(docker: Docker, tmp_path: Path, pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.yaml").write_text(DIGITS)
    alone = run(tiny_job(), out=tmp_path / "alone", pool=pool)
    assert main(["run", str(tmp_path / "job.yaml"), "--runner", "docker", "--out", str(tmp_path / "run"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["runner"], summary["rounds"]) == ("docker", 3)
    assert summary["digest"] == alone.digest
    assert summary["metrics"] == alone.metrics
    assert docker.call("ps", "--all", "--quiet") == ""


def test_what_a_stage_refuses_in_its_container_is_one_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    job = tiny_job(f"start_from={tmp_path}/nowhere")
    with pytest.raises(InputError, match=r"start_from is '.*/nowhere', which cannot be read"):
        run_local(job, runner="docker", out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_an_image_that_is_not_there_is_named_before_anything_is_done(tmp_path: Path) -> None:
    job = tiny_job('federation={workers: [{name: w, kubernetes: {image: "registry.example/worker:9"}}]}')
    with pytest.raises(
        InputError, match=r"The image 'registry.example/worker:9' is not on this machine; build the project's own with `make images`, or pull it"
    ):
        run_local(job, runner="docker", out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_docker_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(InputError, match=r"No Docker answers; start it, say where it is with DOCKER_HOST, or use --runner subprocess"):
        run_local(tiny_job(), runner="docker", out=tmp_path / "run")
