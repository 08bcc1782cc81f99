"""The images: without a compiler or a package cache, run by a numbered user who may do nothing; a server's stages run in theirs and end in the same bits."""

from pathlib import Path

import pytest

from components import SERVER_IMAGE, WORKER_IMAGE
from fl_core import generator, run, worker
from fl_core.pool import Pool
from fl_core.run_folder import Run, close_key, plan_key, state_key
from fl_core.signing import SERVER
from fl_core.store import PRIVATE, FileStore
from pipelines.cluster import USER
from tests.jobs import tiny_job
from tests.services.docker_daemon import Docker, give_to, settings_of

COMPILERS_AND_CACHES = "command -v gcc cc g++ make; ls -d /root/.cache /tmp/.cache /build; find /var/lib/apt/lists -type f; true"
IMPORTS = "import importlib.util as u; print(*[name for name in ('paddle', 'sklearn', 'kfp', 'fl_core') if u.find_spec(name)])"
CLOSE_A_ROUND = """
import sys
from fl_core import scheduler, server
from fl_core.stage import stage
with stage(sys.argv[1], sys.argv[2], "r", sys.argv[3], round=1) as (one, _):
    scheduler.plan(one, 1) if sys.argv[1] == "select" else server.close(one, 1)
"""


@pytest.fixture(params=["server", "worker"])
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    return images[request.param]


def test_the_images_are_those_that_pipelines_name(images: dict[str, str]) -> None:
    assert images == {"server": SERVER_IMAGE, "worker": WORKER_IMAGE}


def test_an_image_runs_as_a_numbered_user_and_says_what_it_is(image: str, docker: Docker) -> None:
    settings = settings_of(docker, image)
    assert settings["Config"]["User"] == f"{USER}:{USER}"
    labels = settings["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == image.partition(":")[0]
    assert (labels["org.opencontainers.image.version"], labels["org.opencontainers.image.licenses"]) == (image.partition(":")[2], "Apache-2.0")
    print(f"{image}: {settings['Size'] / 1e6:.0f} MB, {len(settings['RootFS']['Layers'])} layers")


def test_no_compiler_and_no_package_cache_is_left_in(image: str, docker: Docker) -> None:
    assert docker.run(image, "sh", "-c", COMPILERS_AND_CACHES) == ""


def test_only_the_worker_has_paddle(images: dict[str, str], docker: Docker) -> None:
    assert docker.run(images["server"], "python3", "-c", IMPORTS) == "kfp fl_core"
    assert docker.run(images["worker"], "python3", "-c", IMPORTS) == "paddle sklearn kfp fl_core"


def test_the_workers_image_has_all_that_training_needs(images: dict[str, str], docker: Docker) -> None:
    said = docker.run(images["worker"], "fl", "doctor")
    assert "MISS" not in said
    assert "training process: starts and answers" in said


def test_a_server_without_paddle_network_and_rights_plans_and_closes_a_round(images: dict[str, str], docker: Docker, tmp_path: Path, pool: Pool) -> None:
    job = tiny_job("rounds=1", "evaluate.on=test")
    alone = run(job, out=tmp_path / "alone", pool=pool)
    shared, private = tmp_path / "store", tmp_path / "private"
    one = Run("r", job, FileStore(shared / "runs" / "r"), FileStore(private / "r", PRIVATE))
    state, facts = generator.check(job, pool)
    generator.write(one, state, facts)
    pool.about(one.address)
    for name in ("worker-0", "worker-1"):
        worker.prepare(one, name, pool)

    def serve(stage: str) -> None:
        keys = tmp_path / "server"
        FileStore(keys / "r", PRIVATE).put(f"keys/{SERVER}", one.private.get(f"keys/{SERVER}"))
        give_to(USER, shared, keys)
        mounts = [word for folder in (shared, keys) for word in ("--volume", f"{folder}:{folder}")]
        docker.run(
            images["server"], "python3", "-c", CLOSE_A_ROUND, stage, str(shared), one.address["manifest"], options=[*mounts, "--env", f"FL_PRIVATE={keys}"]
        )

    serve("select")
    assert one.record(plan_key(1))["clients"] == 6
    worker.take_part(one, 1, ["worker-0", "worker-1"], pool)
    serve("close")
    assert one.record(close_key(1))["signer"] == SERVER
    assert one.digest(state_key(2)) == alone.run.digest(state_key(2))
