"""What goes wrong between a role and its store: a clear sentence or a retry that succeeds, and never half an object."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fl_core.errors import KeyMissing, StoreError
from fl_core.s3 import S3Store
from fl_core.s3_settings import Limits
from fl_core.waiting import wait
from tests.services.minio_server import MinioServer, free_port
from tests.services.proxy import Proxy

QUICK = Limits(connect_seconds=2, silence_seconds=1, operation_seconds=4, tries=3, tries_first=3)
LARGE = os.urandom(30 << 20)


def test_a_wrong_secret_is_one_sentence_without_the_secret(minio: MinioServer) -> None:
    store = S3Store(minio.settings(password="not-the-password"), minio.new_bucket())
    for call in (lambda: store.get("key"), lambda: store.list(""), lambda: store.put("key", b"1")):
        with pytest.raises(StoreError, match="refuses the secret key; check AWS_SECRET_ACCESS_KEY or AWS_PROFILE") as error:
            call()
        assert "not-the-password" not in str(error.value)


def test_an_unknown_access_key_is_one_sentence(minio: MinioServer) -> None:
    with pytest.raises(StoreError, match="does not know the access key; check AWS_ACCESS_KEY_ID or AWS_PROFILE"):
        S3Store(minio.settings(user="nobody"), minio.new_bucket()).list("")


def test_a_missing_bucket_is_named(minio: MinioServer) -> None:
    store = S3Store(minio.settings(), "no-such-bucket", "p")
    for call in (lambda: store.get("key"), lambda: store.list(""), lambda: store.put("key", b"1"), lambda: store.append("journal.jsonl", b"line\n")):
        with pytest.raises(StoreError, match="The bucket 'no-such-bucket' does not exist at http://127"):
            call()


def test_a_wrong_address_is_told_within_seconds(minio: MinioServer) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StoreError, match=r"could not list s3://bucket/: it accepts no connection; gave up after 6 tries in \d s\."):
        S3Store(minio.settings(endpoint), "bucket").list("")


def kill_at(server: MinioServer, proxy: Proxy, count: int, then: threading.Event) -> None:
    """Kills the server, once, when so many bytes of an upload have passed."""
    killed = threading.Lock()

    def look(bytes_up: int) -> None:
        if bytes_up > count and killed.acquire(blocking=False):
            server.kill()
            then.set()

    proxy.on_bytes_up = look


def test_an_upload_outlives_a_server_that_is_killed_and_started_again(own_minio: MinioServer) -> None:
    bucket, killed = own_minio.new_bucket(), threading.Event()
    with Proxy(own_minio.port) as proxy:
        store = S3Store(own_minio.settings(proxy.endpoint), bucket)
        store.put("before", b"1")
        kill_at(own_minio, proxy, len(LARGE) // 2, killed)
        with ThreadPoolExecutor(1) as aside:
            upload = aside.submit(store.put, "large", LARGE)
            assert killed.wait(30)
            own_minio.start()
            assert upload.result() is True
        assert bytes(store.get("large")) == LARGE


def test_an_upload_to_a_server_that_stays_away_is_an_error_and_leaves_nothing(own_minio: MinioServer) -> None:
    bucket, killed = own_minio.new_bucket(), threading.Event()
    with Proxy(own_minio.port) as proxy:
        store = S3Store(own_minio.settings(proxy.endpoint, QUICK), bucket)
        store.put("before", b"1")
        kill_at(own_minio, proxy, len(LARGE) // 2, killed)
        with pytest.raises(StoreError, match=rf"could not write s3://{bucket}/large: the connection broke .*; gave up after 3 tries"):
            store.put("large", LARGE)
    own_minio.start()
    store = S3Store(own_minio.settings(), bucket)
    assert store.list("") == ["before"]
    with pytest.raises(KeyMissing):
        store.get("large")
    assert store.put("large", LARGE) is True


def test_what_was_written_before_a_kill_is_there_after_it(own_minio: MinioServer) -> None:
    store = S3Store(own_minio.settings(), own_minio.new_bucket())
    store.put("key", LARGE)
    store.swap("latest", None, b"1")
    store.append("journal.jsonl", b"line\n")
    own_minio.kill()
    own_minio.start()
    assert bytes(store.get("key")) == LARGE
    assert store.swap("latest", b"1", b"2")
    store.append("journal.jsonl", b"line\n")
    assert bytes(store.get("journal.jsonl")) == b"line\nline\n"


def test_a_waiting_role_outlives_a_restart(own_minio: MinioServer) -> None:
    store = S3Store(own_minio.settings(), own_minio.new_bucket())
    store.put("before", b"1")
    with ThreadPoolExecutor(1) as aside:
        waiting = aside.submit(wait, store, "key", 60)
        own_minio.kill()
        own_minio.start()
        assert not waiting.done()
        store.put("key", b"at last")
        assert waiting.result() == b"at last"


def test_a_slow_store_is_waited_for(minio: MinioServer) -> None:
    with Proxy(minio.port) as proxy:
        proxy.delay_seconds = 0.2
        store = S3Store(minio.settings(proxy.endpoint, QUICK), minio.new_bucket())
        assert store.put("key", b"1") is True
        assert store.get("key") == b"1"


def test_a_stalled_store_is_an_error_when_its_time_is_over(minio: MinioServer) -> None:
    with Proxy(minio.port) as proxy:
        store = S3Store(minio.settings(proxy.endpoint, QUICK), minio.new_bucket())
        store.put("key", b"1")
        proxy.stalled.set()
        for call in (lambda: store.get("key"), lambda: store.list(""), lambda: store.put("other", LARGE[: 1 << 20])):
            with pytest.raises(StoreError, match=r"(no answer within 1 s|the connection broke \(.*timed out.*\)); gave up after 3 tries in 3 s\."):
                call()
        proxy.stalled.clear()
        assert store.get("key") == b"1"


def test_a_stall_in_the_middle_of_an_upload_ends_and_is_tried_again(minio: MinioServer) -> None:
    with Proxy(minio.port) as proxy:
        store = S3Store(minio.settings(proxy.endpoint, QUICK), minio.new_bucket())
        store.put("before", b"1")

        def stall_once(bytes_up: int) -> None:
            if bytes_up > len(LARGE) // 2:
                proxy.on_bytes_up = lambda count: None
                proxy.stalled.set()
                threading.Timer(1.5, proxy.stalled.clear).start()

        proxy.on_bytes_up = stall_once
        assert store.put("large", LARGE) is True
        assert bytes(store.get("large")) == LARGE
