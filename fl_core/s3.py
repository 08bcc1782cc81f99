"""The store in an S3 bucket: a key is an object, written under a condition that the bucket itself keeps, its sha256 beside it.

A log is a folder of segments, because S3 cannot append: each writer writes its newest segment anew with every line, and begins another once it is full.
"""

import os
import re
import threading
import time
import uuid
from functools import lru_cache
from urllib.parse import urlsplit

from fl_core.codec import sha256
from fl_core.errors import InputError, KeyMissing, KeyTaken, StoreError
from fl_core.s3_bucket import WRITE_ONCE, Bucket, Content, open_bucket
from fl_core.s3_settings import Settings, read_settings
from fl_core.store import check_key

PROBE = ".conditional-writes"
LOG_END, SEGMENTS = ".jsonl", ".segments/"
SEGMENT_BYTES_MAX = 65_536
PUT_TRIES = 5
PRESIGNED_SECONDS_MAX = 604_800
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def open_s3_store(uri: str) -> "S3Store":
    """The store at `s3://bucket/prefix`; endpoint and credentials come from the environment (see `read_settings`), never from the URI."""
    parts = urlsplit(uri)
    if "@" in parts.netloc or ":" in parts.netloc:
        raise InputError("The store's URI holds credentials or a port; write s3://BUCKET/PREFIX, and set AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID.")
    if parts.query or parts.fragment or not _BUCKET.fullmatch(parts.netloc):
        raise InputError(f"The store '{uri}' names no bucket; write s3://BUCKET/PREFIX.")
    prefix = parts.path.strip("/")
    return S3Store(read_settings(os.environ), parts.netloc, check_key(prefix) if prefix else "")


class S3Store:
    """Keys under a prefix of a bucket. It may be used from several threads and in forked children."""

    def __init__(self, settings: Settings, bucket: str, prefix: str = "") -> None:
        self._settings, self._name, self._prefix = settings, bucket, f"{prefix}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")

    @property
    def _bucket(self) -> Bucket:
        return open_bucket(self._settings, self._name, os.getpid())

    def get(self, key: str) -> bytes | memoryview:
        content = self._read(key)
        if content is not None:
            return content.data
        lines = _read_log(self._bucket, self._prefix + key)
        if lines is None:
            raise KeyMissing(key)
        return lines

    def _read(self, key: str) -> Content | None:
        return self._bucket.read(self._prefix + check_key(key))

    def put(self, key: str, data: bytes | memoryview) -> bool:
        bucket, name = self._bucket, self._prefix + check_key(key)
        bucket.check_kept("If-None-Match", self._prefix + PROBE)
        digest = sha256(data)
        for _ in range(PUT_TRIES):
            outcome = bucket.write(name, data, WRITE_ONCE, digest)
            there = digest if outcome == "written" else bucket.digest(name)
            if there == digest:
                return outcome != "refused"
            if there is not None:
                raise KeyTaken(key)
        raise StoreError(f"'{key}' was written and deleted by others {PUT_TRIES} times while it was put into {self.uri}.")

    def exists(self, key: str) -> bool:
        name = self._prefix + check_key(key)
        return self._bucket.has(name) or bool(_segments(self._bucket, name))

    def list(self, prefix: str) -> list[str]:
        names = (name.removeprefix(self._prefix) for name in self._bucket.names(self._prefix + prefix))
        return sorted({_key_of(name) for name in names if name.rpartition("/")[2] != PROBE})

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        """As the seam says; False also where a try of this call landed and was overtaken at once, so read again before another."""
        bucket, name = self._bucket, self._prefix + check_key(key)
        if expected is None:
            condition = WRITE_ONCE
        else:
            current = self._read(key)
            if current is None or bytes(current.data) != expected:
                return False
            condition = {"If-Match": current.etag}
        bucket.check_kept(next(iter(condition)), self._prefix + PROBE)
        outcome = bucket.write(name, data, condition)
        return outcome == "written" or (outcome == "unsure" and bucket.digest(name) == sha256(data))

    def append(self, key: str, data: bytes) -> None:
        if not check_key(key).endswith(LOG_END):
            raise StoreError(f"'{key}' is no log; in {self.uri} the name of a log ends in {LOG_END}.")
        _writer(self._settings, self._name, self._prefix + key, os.getpid()).add(self._bucket, data)

    def delete(self, *keys: str) -> None:
        names = [self._prefix + check_key(key) for key in keys]
        self._bucket.remove([*names, *(segment for name in names for segment in _segments(self._bucket, name))])

    def at(self, prefix: str) -> "S3Store":
        return S3Store(self._settings, self._name, self._prefix + check_key(prefix.strip("/")))

    def presign(self, key: str, seconds: float) -> str:
        """A URL under which anybody can read the key for so many seconds, a week at most."""
        if not 1 <= seconds <= PRESIGNED_SECONDS_MAX:
            raise InputError(f"seconds is {seconds:g}; a URL is good for 1 to {PRESIGNED_SECONDS_MAX}.")
        return self._bucket.presign(self._prefix + check_key(key), seconds)


def _segments(bucket: Bucket, name: str) -> list[str]:
    """The segments of a log in the order in which they were begun; none for what is no log."""
    return bucket.names(name + SEGMENTS) if name.endswith(LOG_END) else []


def _read_log(bucket: Bucket, name: str) -> bytes | None:
    contents = [bucket.read(segment) for segment in _segments(bucket, name)]
    return b"".join(content.data for content in contents if content is not None) if contents else None


def _key_of(name: str) -> str:
    """The key that an object belongs to: itself, or the log that it is a segment of."""
    log, found, _ = name.partition(LOG_END + SEGMENTS)
    return log + LOG_END if found else name


@lru_cache(maxsize=64)
def _writer(settings: Settings, bucket: str, log: str, process: int) -> "_LogWriter":
    return _LogWriter(log)


class _LogWriter:
    """One process's newest segment of a log; it has state because S3 cannot add to what lies there."""

    def __init__(self, log: str) -> None:
        self._log, self._lock = log, threading.Lock()
        self._name, self._lines = "", b""

    def add(self, bucket: Bucket, data: bytes) -> None:
        with self._lock:
            if not self._name or len(self._lines) + len(data) > SEGMENT_BYTES_MAX:
                self._name, self._lines = f"{self._log}{SEGMENTS}{time.time_ns():020d}-{uuid.uuid4().hex}", b""
            bucket.write(self._name, self._lines + data, {})
            self._lines += data
