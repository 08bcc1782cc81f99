"""What the S3 store does where an endpoint misbehaves; the contract itself is shown on a real server, see tests/services."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fl_core.errors import InputError, KeyMissing, KeyTaken, StoreError
from fl_core.s3 import open_s3_store
from fl_core.store import open_store
from tests.fl_core.fake_s3 import FakeS3, fake_s3
from tests.fl_core.store_contract import StoreContract


@pytest.fixture
def s3() -> Iterator[FakeS3]:
    with fake_s3() as server:
        yield server


class TestFakeS3Store(StoreContract):
    """Shows that the fake is an S3 as far as the tests below lean on it."""

    @pytest.fixture
    def store(self, s3: FakeS3) -> object:
        return s3.store()


@pytest.mark.parametrize("fault", ["503 SlowDown", "500 InternalError", "html", "drop"])
def test_a_passing_failure_is_tried_again(s3: FakeS3, fault: str) -> None:
    store = s3.store()
    store.put("other", b"1")
    for call in (lambda: store.put("key", b"1"), lambda: bytes(store.get("key")) == b"1", lambda: store.exists("key"), lambda: store.list("k") == ["key"]):
        s3.faults[:] = [fault, fault]
        assert call() is True
        assert s3.faults == []


def test_tries_are_bounded_and_the_sentence_says_what_was_tried(s3: FakeS3) -> None:
    store = s3.store(tries=3)
    s3.faults[:] = ["503 SlowDown"] * 10
    with pytest.raises(StoreError, match=r"http://127.0.0.1:\d+ could not read s3://bucket/p/key: it answers SlowDown; gave up after 3 tries in \d+ s\."):
        store.get("key")
    assert s3.requests == ["GET"] * 3


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDenied", "These credentials may not write s3://bucket/p/key"),
        ("SignatureDoesNotMatch", "refuses the secret key; check AWS_SECRET_ACCESS_KEY"),
        ("InvalidAccessKeyId", "does not know the access key; check AWS_ACCESS_KEY_ID"),
        ("NoSuchBucket", "The bucket 'bucket' does not exist"),
        ("EntityTooLarge", "could not write s3://bucket/p/key: EntityTooLarge, said so"),
    ],
)
def test_a_refusal_is_one_sentence_and_not_tried_again(s3: FakeS3, code: str, sentence: str) -> None:
    store = s3.store()
    store.put("other", b"1")
    s3.faults[:] = [f"403 {code}"]
    s3.requests.clear()
    with pytest.raises(StoreError, match=sentence):
        store.put("key", b"1")
    assert s3.requests == ["PUT"]


def test_a_put_whose_answer_was_lost_is_found_to_have_landed(s3: FakeS3) -> None:
    store = s3.store()
    store.put("other", b"1")
    s3.faults[:] = ["lose the answer"]
    assert store.put("key", b"1") is True
    s3.faults[:] = ["drop"]
    with pytest.raises(KeyTaken):
        store.put("key", b"2")


def test_a_move_whose_answer_was_lost_is_found_to_have_landed(s3: FakeS3) -> None:
    store = s3.store()
    store.swap("latest", None, b"1")
    store.swap("latest", b"1", b"2")
    s3.faults[:] = ["", "lose the answer"]
    assert store.swap("latest", b"2", b"3") is True
    assert store.get("latest") == b"3"


def test_a_store_that_ignores_write_once_is_refused_before_anything_is_written(s3: FakeS3) -> None:
    s3.keeps = {"If-Match"}
    store = s3.store()
    for call in (lambda: store.put("key", b"1"), lambda: store.swap("latest", None, b"1"), lambda: store.put("key", b"1")):
        with pytest.raises(StoreError, match="ignores the condition If-None-Match"):
            call()
    assert list(s3.objects) == ["p/.conditional-writes"]


def test_a_store_that_ignores_the_match_of_a_version_is_refused_for_pointers(s3: FakeS3) -> None:
    s3.keeps = {"If-None-Match"}
    store = s3.store()
    assert store.put("key", b"1")
    assert store.swap("latest", None, b"1")
    with pytest.raises(StoreError, match="ignores the condition If-Match"):
        store.swap("latest", b"1", b"2")
    assert store.get("latest") == b"1"


def test_the_store_is_asked_once_whether_it_keeps_conditions(s3: FakeS3) -> None:
    store = s3.store()
    store.put("a", b"1")
    s3.requests.clear()
    store.put("b", b"1")
    store.at("deeper").put("c", b"1")
    assert s3.requests == ["PUT", "PUT"]


def test_a_flipped_byte_is_an_error_that_names_the_key(s3: FakeS3) -> None:
    store = s3.store()
    for key, data in {"small": b"0123", "large": bytes(2 << 20)}.items():
        store.put(key, data)
        s3.faults[:] = ["damage"]
        with pytest.raises(StoreError, match=f"s3://bucket/p/{key} is damaged: its sha256 is"):
            store.get(key)


def test_an_answer_that_ends_early_is_read_again(s3: FakeS3) -> None:
    store = s3.store()
    for key, data in {"small": b"0123", "large": bytes(2 << 20)}.items():
        store.put(key, data)
        s3.faults[:] = ["shorten"]
        assert bytes(store.get(key)) == data


def test_an_answer_that_drips_ends_at_the_deadline(s3: FakeS3) -> None:
    store = s3.store(operation_seconds=0.2)
    store.put("key", bytes(400))
    s3.faults[:] = ["drip"] * 9
    with pytest.raises(StoreError, match=r"it is too slow: 0\.\d+ s were not enough\); gave up after 1 tries"):
        store.get("key")


def test_an_absent_key_that_is_said_to_be_denied_is_absent_where_the_key_may_be_listed(s3: FakeS3) -> None:
    store = s3.store()
    store.put("there", b"1")
    s3.faults[:] = ["403 AccessDenied"]
    with pytest.raises(KeyMissing):
        store.get("absent")
    s3.faults[:] = ["403 AccessDenied"]
    with pytest.raises(StoreError, match="may not read"):
        store.get("there")
    s3.faults[:] = ["403 AccessDenied", "403 AccessDenied"]
    with pytest.raises(StoreError, match="may not read"):
        store.get("absent")


def test_an_object_of_another_tool_is_read_without_a_digest_to_check(s3: FakeS3) -> None:
    store = s3.store()
    s3.objects["p/key"] = (b"copied", None)
    assert store.get("key") == b"copied"
    assert store.put("key", b"copied") is False
    with pytest.raises(KeyTaken):
        store.put("key", b"other")


def test_an_endpoint_that_is_no_s3_is_said_so(s3: FakeS3) -> None:
    s3.faults[:] = ["200 <html>"]
    with pytest.raises(StoreError, match=r"http://127.0.0.1:\d+ does not answer as an S3 endpoint does \(.*\); check AWS_ENDPOINT_URL\."):
        s3.store().list("")


@pytest.mark.parametrize("uri", ["s3://user:password@bucket/p", "s3://user@bucket", "s3://bucket:9000/p"])
def test_a_uri_with_credentials_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InputError, match="holds credentials or a port") as error:
        open_store(uri)
    assert "password" not in str(error.value).replace("AWS_", "")


@pytest.mark.parametrize("uri", ["s3://", "s3:///p", "s3://Bucket/p", "s3://b/p", "s3://bucket/p?x=1", "s3://bucket/a/../b"])
def test_a_uri_without_a_good_bucket_or_prefix_is_refused(uri: str) -> None:
    with pytest.raises(InputError):
        open_s3_store(uri)


def test_a_log_needs_a_logs_name(s3: FakeS3) -> None:
    with pytest.raises(StoreError, match=r"'journal' is no log; in .* the name of a log ends in \.jsonl"):
        s3.store().append("journal", b"line\n")


def test_a_url_is_good_for_a_week_at_most(s3: FakeS3) -> None:
    with pytest.raises(InputError, match=r"seconds is 1e\+06; a URL is good for 1 to 604800\."):
        s3.store().presign("key", 1e6)


def test_settings_do_not_show_their_secret(s3: FakeS3) -> None:
    settings = replace(s3.store()._settings, session_token="token")
    assert "secret" not in repr(settings).replace("secret_key", "")
    assert "token" not in repr(settings).replace("session_token", "")


def test_of_many_keys_the_one_that_may_not_be_deleted_is_named_and_the_others_are_gone(s3: FakeS3) -> None:
    store = s3.store()
    for key in ("one", "two", "three"):
        store.put(key, b"1")
    s3.locked = {"p/two"}
    with pytest.raises(StoreError, match=r"may not delete s3://bucket/p/two at"):
        store.delete("one", "two", "three")
    assert store.list("") == ["two"]
    assert s3.requests.count("POST") == 1
