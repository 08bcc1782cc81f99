"""The store's contract on a real MinIO, and what only S3 can get wrong."""

import hashlib
import os
import time
import urllib.error
import urllib.request
from io import BytesIO

import pytest

from fl_core.errors import StoreError
from fl_core.s3 import S3Store
from fl_core.store import Store, open_store
from tests.fl_core.store_contract import StoreContract, together
from tests.services.minio_server import MinioServer


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, minio: MinioServer) -> Store:
        return minio.new_store()


def test_a_store_is_opened_by_its_uri_and_the_environment(minio: MinioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)
    bucket = minio.new_bucket()
    store = open_store(f"s3://{bucket}/some/prefix")
    store.put("key", b"1")
    assert store.uri == f"s3://{bucket}/some/prefix"
    assert bytes(open_store(store.uri).get("key")) == b"1"
    assert open_store(f"s3://{bucket}").list("") == ["some/prefix/key"]


def test_a_presigned_url_reads_one_key_and_nothing_else(minio: MinioServer) -> None:
    store = minio.new_store()
    store.put("key", b"public for a minute")
    url = store.presign("key", 60)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"public for a minute"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url.replace("/key?", "/other?"), timeout=10)
    short = store.presign("key", 1)
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(short, timeout=10)


def test_a_changed_object_is_found_by_its_sha256_and_named(minio: MinioServer) -> None:
    store, client = minio.new_store(), minio.client()
    bucket = store.uri.split("/")[2]
    for key, data in {"small": b"0123456789", "large": bytes(3 << 20)}.items():
        store.put(key, data)
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        noted = {"sha256": hashlib.sha256(data).hexdigest()}
        client.put_object(bucket, f"some/prefix/{key}", BytesIO(flipped), len(flipped), metadata=noted)
        with pytest.raises(StoreError, match=f"some/prefix/{key} is damaged"):
            store.get(key)


def test_a_long_log_is_written_in_segments_of_bounded_size(minio: MinioServer) -> None:
    store, line = minio.new_store(), b"x" * 999 + b"\n"
    for _ in range(150):
        store.append("journal.jsonl", line)
    bucket = store.uri.split("/")[2]
    sizes = [found.size for found in minio.client().list_objects(bucket, recursive=True)]
    assert sizes == [65_000, 65_000, 20_000]
    assert bytes(store.get("journal.jsonl")) == line * 150


def test_a_forked_child_opens_connections_and_log_segments_of_its_own(minio: MinioServer) -> None:
    store = minio.new_store()
    store.append("journal.jsonl", b"parent\n")
    child = os.fork()
    if not child:
        wrote = False
        try:
            store.append("journal.jsonl", b"child\n")
            wrote = store.put("key", b"child")
        finally:
            os._exit(0 if wrote else 1)
    assert os.waitpid(child, 0)[1] == 0
    store.append("journal.jsonl", b"parent\n")
    assert bytes(store.get("key")) == b"child"
    assert sorted(bytes(store.get("journal.jsonl")).splitlines()) == [b"child", b"parent", b"parent"]


def test_of_many_stores_with_connections_of_their_own_one_puts(minio: MinioServer) -> None:
    bucket = minio.new_bucket()
    stores = [S3Store(minio.settings(), bucket, "p") for _ in range(6)]
    results = together([lambda s=s, i=i: s.put("key", bytes([i]) * 200_000) for i, s in enumerate(stores)])
    assert results.count(True) == 1
    assert bytes(stores[0].get("key")) == bytes([results.index(True)]) * 200_000
