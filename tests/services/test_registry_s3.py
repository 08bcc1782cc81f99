"""The registry on a real MinIO: publishers in processes of their own race for numbers and pointers, and nothing is lost."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from fl_core import registry
from fl_core.errors import StoreError
from fl_core.store import open_store
from tests.fl_core.harness import numbers
from tests.fl_core.published import begun, published, small_job
from tests.services.minio_server import MinioServer

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 120


@pytest.fixture
def uri(minio: MinioServer, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{minio.new_bucket()}/some/prefix"


def race(uri: str, *publishers: tuple[str, int]) -> list[list[dict[str, Any]]]:
    """Starts the publishers, lets them go at once, and gives what each printed."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.services.publisher", uri, name, str(count)],
            cwd=ROOT,
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, count in publishers
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return [json.loads(one.communicate(timeout=SECONDS_MAX)[0]) for one in started]


def test_two_concurrent_publishers_lose_nothing(uri: str) -> None:
    outcomes = [outcome for told in race(uri, ("one", 10), ("other", 10)) for outcome in told]
    root = open_store(uri)
    assert sorted(outcome["version"] for outcome in outcomes) == list(range(1, 21)) == registry.numbers(root, "small")
    for outcome in outcomes:
        record = registry.read(root, f"small/{outcome['version']}")
        assert (record["run"], outcome["decision"]) == (outcome["run"], "published")
        registry.read_model(root, record)
    pointer = registry.read_pointer(root, "small", registry.PRODUCTION)
    assert pointer is not None
    assert sorted([*pointer.before, pointer.version]) == list(range(1, 21))
    assert registry.read(root, "small/latest")["version"] == 20


def test_a_run_that_two_processes_publish_becomes_one_version(uri: str) -> None:
    first, second = race(uri, ("same", 3), ("same", 3))
    wanted = [(f"same-{i}", i + 1, "published") for i in range(3)]
    assert [[(one["run"], one["version"], one["decision"]) for one in told] for told in (first, second)] == [wanted, wanted]
    assert registry.numbers(open_store(uri), "small") == [1, 2, 3]


def test_a_run_starts_from_production_on_s3_and_rolls_back(uri: str) -> None:
    root = open_store(uri)
    published(root, "a", accuracy=0.5)
    published(root, "b", accuracy=0.6)
    assert registry.rollback(root, "small") == (2, 1)
    started = begun(root, "c", small_job("start_from=models:small/production"))
    assert numbers(started.state(1).weights) == [0.5, 1.0, 1.5]
    assert started.facts["started_from"]["model"] == "small/1"


def test_a_model_that_was_damaged_on_s3_is_named(uri: str, minio: MinioServer) -> None:
    root = open_store(uri)
    published(root, "a")
    bucket, name = uri.split("/")[2], "some/prefix/models/small/1/model.safetensors"
    client = minio.client()
    found = client.stat_object(bucket, name)
    noted = {key.removeprefix("x-amz-meta-"): value for key, value in found.metadata.items() if key.startswith("x-amz-meta-")}
    client.put_object(bucket, name, BytesIO(b"other bytes"), 11, metadata=noted)
    with pytest.raises(StoreError, match=r"models/small/1/model.safetensors is damaged"):
        registry.read_model(root, registry.read(root, "small/1"))
