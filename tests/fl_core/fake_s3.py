"""A small S3 endpoint in this process, for what a real one cannot be asked to do: to ignore conditions, to fail in a certain way, to lose an answer."""

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from fl_core.s3 import S3Store
from fl_core.s3_settings import Limits, Settings

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


class FakeS3(ThreadingHTTPServer):
    """Objects in a dict, each with the sha256 that its writer noted.

    `keeps` names the conditions that are kept, `locked` objects that nobody may remove together with others; each request takes the next of `faults`,
    '' for none.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, tuple[bytes, str | None]] = {}
        self.keeps = {"If-None-Match", "If-Match"}
        self.faults: list[str] = []
        self.locked: set[str] = set()
        self.requests: list[str] = []
        self.lock = threading.Lock()

    def store(self, **limits: float) -> S3Store:
        quick = Limits(**{"connect_seconds": 5, "silence_seconds": 5, "operation_seconds": 10, "tries": 4, "tries_first": 4, **limits})  # type: ignore[arg-type]
        return S3Store(Settings(f"http://127.0.0.1:{self.server_port}", "us-east-1", "user", "secret", limits=quick), "bucket", "p")


class _Handler(BaseHTTPRequestHandler):
    server: FakeS3
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            fault = self.next_fault()
            if fault and fault != "lose the answer":
                return self.fail(fault)
            if self.refused(self.server.objects.get(self.name)):
                return self.answer(412, _error("PreconditionFailed"))
            self.server.objects[self.name] = (data, self.headers["x-amz-meta-sha256"])
        return self.fail("drop") if fault else self.answer(200, b"")

    def do_POST(self) -> None:
        """Many objects removed at once."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fault = self.next_fault()
        if fault:
            return self.fail(fault)
        names = [unescape(name) for name in re.findall("<Key>(.*?)</Key>", body)]
        kept = [name for name in names if name in self.server.locked]
        for name in set(names) - set(kept):
            self.server.objects.pop(name, None)
        errors = "".join(f"<Error><Key>{escape(name)}</Key><Code>AccessDenied</Code><Message>said so</Message></Error>" for name in kept)
        return self.answer(200, f"<DeleteResult>{errors}</DeleteResult>".encode())

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.name, None)
        self.answer(204, b"")

    def refused(self, there: tuple[bytes, str | None] | None) -> bool:
        once, match = self.headers["If-None-Match"], self.headers["If-Match"]
        if once and "If-None-Match" in self.server.keeps and there is not None:
            return True
        return bool(match and "If-Match" in self.server.keeps and (there is None or match.strip('"') != _etag(there[0])))

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        with self.server.lock:
            fault = self.next_fault()
            if fault in ("damage", "shorten", "drip"):
                return self.spoil(fault)
            if fault:
                return self.fail(fault)
        if "list-type" in query:
            prefix = query.get("prefix", [""])[0]
            found = sorted(name for name in self.server.objects if name.startswith(prefix))
            entries = "".join(f"<Contents><Key>{escape(n)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>" for n in found)
            return self.answer(200, f"<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode())
        return self.give(self.server.objects.get(self.name))

    def do_HEAD(self) -> None:
        fault = self.next_fault()
        return self.fail(fault) if fault else self.give(self.server.objects.get(self.name))

    def give(self, there: tuple[bytes, str | None] | None) -> None:
        if there is None:
            return self.answer(404, _error("NoSuchKey"))
        return self.answer(200, there[0], {"x-amz-meta-sha256": there[1]} if there[1] else {})

    def spoil(self, fault: str) -> None:
        data, digest = self.server.objects[self.name]
        self.send_response(200)
        for name, value in {"Content-Length": str(len(data)), "ETag": '"1"', "x-amz-meta-sha256": str(digest)}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            if fault == "damage":
                self.wfile.write(bytes([data[0] ^ 1]) + data[1:])
            elif fault == "shorten":
                self.wfile.write(data[:-1])
            else:
                for i in range(len(data)):
                    self.wfile.write(data[i : i + 1])
                    time.sleep(0.05)
        self.close_connection = True

    def fail(self, fault: str) -> None:
        if fault == "drop":
            self.close_connection = True
        elif fault == "html":
            self.answer(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"})
        else:
            status, _, code = fault.partition(" ")
            self.answer(int(status), _error(code))

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        always = {"Content-Type": "application/xml", "Content-Length": str(len(data)), "ETag": f'"{_etag(data)}"', "Last-Modified": DATE}
        for name, value in {**always, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def next_fault(self) -> str:
        self.server.requests.append(self.command)
        return self.server.faults.pop(0) if self.server.faults else ""

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/bucket/")

    def log_message(self, format: str, *words: object) -> None:
        pass


def _etag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>said so</Message></Error>".encode()


@contextmanager
def fake_s3() -> Iterator[FakeS3]:
    with FakeS3() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
