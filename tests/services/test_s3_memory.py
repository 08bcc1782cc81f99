"""A large state moves through a role whose memory is small: it is sent from where it lies, and received into a mapped file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.minio_server import MinioServer

SIZE_BYTES, ALLOWED_BYTES = 200 << 20, 48 << 20

MOVE = """
import hashlib, mmap, resource, sys
from fl_core.codec import sha256
from fl_core.store import open_store

uri, path, allowed, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
store = open_store(uri)
store.put("warm", b"1")
held = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + allowed, held + allowed))
with open(path, "rb") as file:
    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
store.put("large", data)
back = store.get("large")
if how == "copied":
    back = bytes(back)
assert sha256(back) == sha256(data)
print("moved", len(back))
"""


def move(minio: MinioServer, path: Path, how: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", MOVE, f"s3://{minio.new_bucket()}/p", str(path), str(ALLOWED_BYTES), how]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env={**os.environ, **minio.environment()})


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with open(path, "wb") as file:
        for _ in range(SIZE_BYTES >> 20):
            file.write(os.urandom(1 << 20))
    return path


def test_a_state_of_200_mb_moves_with_48_mb_of_memory(minio: MinioServer, large_file: Path) -> None:
    result = move(minio, large_file, "mapped")
    assert result.stdout == f"moved {SIZE_BYTES}\n", result.stderr


def test_with_one_copy_of_it_the_memory_would_not_do(minio: MinioServer, large_file: Path) -> None:
    result = move(minio, large_file, "copied")
    assert result.stdout == ""
    assert "MemoryError" in result.stderr
