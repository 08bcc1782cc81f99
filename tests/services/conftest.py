"""Tests on real servers: `make services-test` runs them; they are skipped where the marker was not asked for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.docker_daemon import Docker, build_images, running_docker
from tests.services.minio_server import MinioServer

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.services)
            if "services" not in (config.option.markexpr or ""):
                item.add_marker(pytest.mark.skip(reason="real servers are started by make services-test"))


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    """A server for all tests that do not harm it."""
    server = MinioServer(tmp_path_factory.mktemp("minio"))
    yield server
    server.kill()


@pytest.fixture
def own_minio(tmp_path: Path) -> Iterator[MinioServer]:
    """A server that a test may kill and start again."""
    server = MinioServer(tmp_path / "minio")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """A Docker of the tests' own."""
    if os.environ.get("FL_SERVICES_SKIP_DOCKER"):
        pytest.skip("FL_SERVICES_SKIP_DOCKER is set")
    with running_docker() as started:
        yield started


@pytest.fixture(scope="session")
def images(docker: Docker) -> dict[str, str]:
    """The project's images, built from this checkout: `server` and `worker`."""
    return build_images(docker)
