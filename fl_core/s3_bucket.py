"""A bucket of an S3 endpoint: reads, conditional writes and lists, each bounded in tries and seconds; what fails is one sentence.

What is transient (a broken connection, a 5xx) is tried again with growing pauses; what is refused (a 4xx) is not.
"""

import hashlib
import mmap
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Literal, TypeVar
from urllib.parse import urlunsplit
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio import time as minio_time
from minio.credentials.credentials import Credentials
from minio.datatypes import Object
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from minio.signer import sign_v4_s3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ProtocolError, ReadTimeoutError, SSLError

from fl_core.errors import StoreError
from fl_core.s3_settings import Settings

CHUNK_BYTES = 1 << 20
MAPPED_BYTES_MIN = 1 << 20
PUT_BYTES_MAX = 5 << 30
REMOVED_MAX = 1000
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.1, 5.0
DIGEST_HEADER = "x-amz-meta-sha256"
WRITE_ONCE: Mapping[str, str] = {"If-None-Match": "*"}

Outcome = Literal["written", "refused", "unsure"]
T = TypeVar("T")
_TRANSIENT = {"SlowDown", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted"}
_ABSENT = {"NoSuchKey", "NoSuchObject"}
_ADVICE = {
    "NoSuchBucket": "The bucket '{bucket}' does not exist at {endpoint}; create it, or correct the store's URI.",
    "InvalidAccessKeyId": "{endpoint} does not know the access key; check AWS_ACCESS_KEY_ID or AWS_PROFILE.",
    "SignatureDoesNotMatch": "{endpoint} refuses the secret key; check AWS_SECRET_ACCESS_KEY or AWS_PROFILE.",
    "AccessDenied": "These credentials may not {verb} {what} at {endpoint}; give them the policy of their role, or check them.",
    "RequestTimeTooSkewed": "{endpoint} refuses the request because the clocks differ too much; set this machine's clock.",
    "XMinioStorageFull": "{endpoint} is full; {what} was not written.",
}


@dataclass(frozen=True)
class Content:
    """An object as it was read: its bytes (large ones mapped from a temporary file that has no name any more) and the tag that names this version."""

    data: bytes | memoryview
    etag: str


@lru_cache(maxsize=16)
def open_bucket(settings: Settings, name: str, process: int) -> "Bucket":
    """The bucket, with one set of connections a process: a forked child opens its own."""
    return Bucket(settings, name)


class Bucket:
    """Has state because connections stay open, and because it remembers that the endpoint answered and which conditions it was seen to keep."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name, self._settings, self._answered = name, settings, False
        self._kept: set[str] = set()
        timeout = urllib3.Timeout(connect=settings.limits.connect_seconds, read=settings.limits.silence_seconds)
        self._http = urllib3.PoolManager(
            timeout=timeout, retries=False, maxsize=8, cert_reqs="CERT_REQUIRED", ca_certs=settings.ca_bundle or certifi.where()
        )  # fmt: skip
        self._client = Minio(
            settings.host, settings.access_key, settings.secret_key, settings.session_token, settings.secure, settings.region, self._http
        )  # fmt: skip

    def read(self, name: str) -> Content | None:
        """The object, its sha256 checked; None where there is none."""
        return self._denied_or_absent("read", name, lambda end: self._read(name, end))

    def _read(self, name: str, end: "Deadline") -> Content:
        response = self._client.get_object(self.name, name)
        try:
            size = int(response.headers["Content-Length"])
            end.allow(size)
            data, digest = _receive(response, size, end)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        wanted = response.headers.get(DIGEST_HEADER, digest)
        if digest != wanted:
            raise StoreError(f"s3://{self.name}/{name} is damaged: its sha256 is {digest}, but {wanted} was written.")
        return Content(data, response.headers["ETag"])

    def digest(self, name: str) -> str | None:
        """The sha256 that the object was written with, or that it has where nothing says so; None where there is no object."""
        found = self._look(name)
        if found is None:
            return None
        noted = (found.metadata or {}).get(DIGEST_HEADER)
        if noted is not None:
            return str(noted)
        content = self.read(name)
        return None if content is None else hashlib.sha256(content.data).hexdigest()

    def has(self, name: str) -> bool:
        return self._look(name) is not None

    def _look(self, name: str) -> Object | None:
        return self._denied_or_absent("read", name, lambda end: self._client.stat_object(self.name, name))

    def _denied_or_absent(self, verb: str, name: str, call: Callable[["Deadline"], T]) -> T | None:
        """None where there is no such object. Some stores say 'denied' for an absent key; then a list of that one key tells."""
        try:
            return self._tried(verb, name, lambda end, _: call(end))
        except Refused as refused:
            if refused.code in _ABSENT:
                return None
            if refused.code == "AccessDenied" and self._may_list_but_lacks(name):
                return None
            raise

    def _may_list_but_lacks(self, name: str) -> bool:
        try:
            found = self._tried("list", name, lambda end, _: next(self._objects(name), None))
        except StoreError:
            return False
        return found is None or found.object_name != name

    def write(self, name: str, data: bytes | memoryview, condition: Mapping[str, str], digest: str | None = None) -> Outcome:
        """Writes the object where the condition holds; `unsure` where it does not, but an earlier try of this very write may have landed."""
        view = memoryview(data).cast("B")
        if len(view) > PUT_BYTES_MAX:
            raise StoreError(f"s3://{self.name}/{name} would have {len(view)} bytes; an object has at most {PUT_BYTES_MAX}.")
        known = digest or hashlib.sha256(view).hexdigest()

        def attempt(end: Deadline, number: int) -> Outcome:
            end.allow(len(view))
            try:
                self._put(name, view, {**condition, DIGEST_HEADER: known}, known, end)
            except S3Error as error:
                refused = error.code == "PreconditionFailed" or (error.code in _ABSENT and "If-Match" in condition)
                if not refused:
                    raise
                return "refused" if number == 1 else "unsure"
            return "written"

        return self._tried("write", name, attempt)

    def _put(self, name: str, data: memoryview, headers: Mapping[str, str], digest: str, end: "Deadline") -> None:
        """PUT with conditions; S3Error where it is refused.

        The one place that leans on what minio 7.2.20 does not promise: its own `put_object` takes no conditions, so the request is built and signed here.
        It is sent in pieces: nothing is copied, and the time limit of a socket, which counts for all that one call sends, stays one for silence.
        """
        settings, date = self._settings, minio_time.utcnow()
        url = self._client._base_url.build(method="PUT", region=settings.region, bucket_name=self.name, object_name=name)
        token = {"X-Amz-Security-Token": settings.session_token} if settings.session_token else {}
        own = {"Host": url.netloc, "Content-Length": str(len(data)), "x-amz-content-sha256": digest, "x-amz-date": minio_time.to_amz_date(date)}
        signed = sign_v4_s3(
            method="PUT", url=url, region=settings.region, headers={**headers, **token, **own}, content_sha256=digest, date=date,
            credentials=Credentials(settings.access_key, settings.secret_key, settings.session_token),
        )  # fmt: skip
        pieces = end.watch(data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))
        response = self._http.urlopen("PUT", urlunsplit(url), body=pieces, headers=signed)
        if response.status < 300:
            return
        if response.data.startswith(b"<"):
            raise S3Error.fromxml(response)
        raise S3Error(response, {412: "PreconditionFailed", 404: "NoSuchKey"}.get(response.status, str(response.status)), response.reason, url.path, None, None)

    def check_kept(self, condition: str, probe: str) -> None:
        """StoreError where the store does not keep `If-None-Match` or `If-Match`; asked once a process, with a key of its own that nobody reads."""
        if condition in self._kept:
            return
        kept = any(self.write(probe, b"", WRITE_ONCE) != "written" for _ in range(2))
        if condition == "If-Match":
            kept = kept and self.write(probe, b"", {"If-Match": f'"{"0" * 32}"'}) != "written"
        if not kept:
            raise StoreError(
                f"The store at {self._settings.endpoint} ignores the condition {condition}, so that two writers could overwrite each other; "
                "use one that keeps it, such as MinIO."
            )
        self._kept.add(condition)

    def names(self, prefix: str) -> list[str]:
        """The names of all objects under a prefix, in order."""
        return self._tried("list", prefix, lambda end, _: sorted(str(found.object_name) for found in end.watch(self._objects(prefix))))

    def _objects(self, prefix: str) -> Iterator[Object]:
        yield from self._client.list_objects(self.name, prefix=prefix, recursive=True)

    def remove(self, names: Sequence[str]) -> None:
        """Removes the objects that are there, many in one request; StoreError for the first that may not be removed."""
        if len(names) == 1:
            self._tried("delete", names[0], lambda end, _: self._client.remove_object(self.name, names[0]))
            return
        for start in range(0, len(names), REMOVED_MAX):
            batch = [DeleteObject(name) for name in names[start : start + REMOVED_MAX]]
            for left in self._tried("delete", names[start], lambda end, _: list(self._client.remove_objects(self.name, batch))):  # noqa: B023
                what = f"s3://{self.name}/{left.name}"
                raise Refused(_advice(str(left.code), str(left.message), "delete", what, self.name, self._settings.endpoint), str(left.code))

    def presign(self, name: str, seconds: float) -> str:
        """A URL under which anybody can read the object for so many seconds."""
        return str(self._client.presigned_get_object(self.name, name, timedelta(seconds=seconds)))

    def _tried(self, verb: str, name: str, attempt: Callable[["Deadline", int], T]) -> T:
        """What an attempt gives, tried again while it fails for a passing reason and there are tries and seconds left."""
        limits, endpoint = self._settings.limits, self._settings.endpoint
        end, number, pause = Deadline(self._settings), 0, PAUSE_SECONDS_MIN
        what = f"s3://{self.name}/{name}"
        while True:
            number += 1
            try:
                result = attempt(end, number)
                self._answered = True
                return result
            except (MinioException, HTTPError) as error:
                self._answered = self._answered or isinstance(error, S3Error)
                if not _is_transient(error):
                    raise Refused(_sentence(error, verb=verb, what=what, bucket=self.name, endpoint=endpoint), _code(error)) from error
                tries = limits.tries if self._answered else limits.tries_first
                if number >= tries or end.left() <= pause:
                    reason = f"{_reason(error, self._settings)}; gave up after {number} tries in {end.spent():.0f} s"
                    raise StoreError(f"{endpoint} could not {verb} {what}: {reason}.") from error
            except (ValueError, LookupError, ParseError) as error:
                raise StoreError(f"{endpoint} does not answer as an S3 endpoint does ({error}); check AWS_ENDPOINT_URL.") from error
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, PAUSE_SECONDS_MAX)


class Deadline:
    """When an operation with all its tries must have ended; it has state because what is to be moved is known only later."""

    def __init__(self, settings: Settings) -> None:
        self._limits, self._start, self._seconds = settings.limits, time.monotonic(), settings.limits.operation_seconds

    def allow(self, size_bytes: int) -> None:
        """Gives the time that so many bytes may take."""
        self._seconds = max(self._seconds, self._limits.seconds_for(size_bytes))

    def spent(self) -> float:
        return time.monotonic() - self._start

    def left(self) -> float:
        return self._seconds - self.spent()

    def watch(self, pieces: Iterator[T]) -> Iterator[T]:
        """The pieces, as long as there is time."""
        for piece in pieces:
            if self.left() <= 0:
                raise ProtocolError(f"it is too slow: {self._seconds:g} s were not enough")
            yield piece


class Refused(StoreError):
    """An answer that trying again does not change."""

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code


def _receive(response: urllib3.BaseHTTPResponse, size: int, end: Deadline) -> tuple[bytes | memoryview, str]:
    """The body and its sha256: in memory where it is small, else in a mapped file without a name."""
    digest = hashlib.sha256()
    if size < MAPPED_BYTES_MIN:
        data = b"".join(end.watch(_pieces(response, size)))
        digest.update(data)
        return data, digest.hexdigest()
    with tempfile.TemporaryFile(prefix="fl-") as file:
        for piece in end.watch(_pieces(response, size)):
            digest.update(piece)
            try:
                file.write(piece)
            except OSError as error:
                raise StoreError(f"A temporary file of {size} bytes in {tempfile.gettempdir()} could not be written: {error.strerror}; set TMPDIR.") from error
        file.flush()
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), digest.hexdigest()


def _pieces(response: urllib3.BaseHTTPResponse, size: int) -> Iterator[bytes]:
    """What comes, as it comes; ProtocolError where the connection ends early."""
    left = size
    while left > 0:
        piece = response.read1(CHUNK_BYTES)
        if not piece:
            raise ProtocolError(f"{left} of {size} bytes did not come")
        left -= len(piece)
        yield piece


def _code(error: Exception) -> str:
    return str(error.code) if isinstance(error, S3Error) else type(error).__name__


def _is_transient(error: MinioException | HTTPError) -> bool:
    if isinstance(error, S3Error):
        return error.code != "XMinioStorageFull" and (error.response.status >= 500 or error.code in _TRANSIENT)
    if isinstance(error, ServerError):
        return bool(error.status_code >= 500)
    if isinstance(error, SSLError):
        return "CERTIFICATE" not in str(error).upper() and "HOSTNAME" not in str(error).upper()
    return isinstance(error, (InvalidResponseError, HTTPError))


def _sentence(error: Exception, verb: str, what: str, bucket: str, endpoint: str) -> str:
    if isinstance(error, SSLError):
        return f"{endpoint} shows a certificate that is not trusted ({error}); name the file of its authority in AWS_CA_BUNDLE."
    if isinstance(error, S3Error):
        return _advice(str(error.code), str(error.message), verb, what, bucket, endpoint)
    return f"{endpoint} could not {verb} {what}: {error}."


def _advice(code: str, message: str, verb: str, what: str, bucket: str, endpoint: str) -> str:
    advice = _ADVICE.get(code, "{endpoint} could not {verb} {what}: {code}, {message}")
    return advice.format(verb=verb, what=what, bucket=bucket, endpoint=endpoint, code=code, message=message.rstrip(".") + ".")


def _reason(error: Exception, settings: Settings) -> str:
    if isinstance(error, S3Error):
        return f"it answers {error.code}"
    if isinstance(error, NameResolutionError):
        return "its name does not resolve"
    if isinstance(error, NewConnectionError):
        return "it accepts no connection"
    if isinstance(error, ConnectTimeoutError):
        return f"no connection within {settings.limits.connect_seconds:g} s"
    if isinstance(error, ReadTimeoutError):
        return f"no answer within {settings.limits.silence_seconds:g} s"
    return f"the connection broke ({error})" if isinstance(error, HTTPError) else str(error)
