"""A stand-in for Kubernetes' API server: real HTTP on loopback; bodies are checked against the published OpenAPI in strict mode, paths against what we use."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import kubernetes_validate

VERSION, TOKEN, NAMESPACES = "1.30", "kube-token", ("hospital",)
PATHS = {
    "jobs": re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs(?:/([^/]+))?$"),
    "configmaps": re.compile(r"/api/v1/namespaces/([^/]+)/configmaps(?:/([^/]+))?$"),
    "pods": re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+))?$"),
    "logs": re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/log$"),
}
QUERIES = {
    ("POST", False): set(), ("GET", False): {"labelSelector"}, ("GET", True): {"container", "follow"}, ("PUT", True): set(), ("PATCH", True): set(),
    ("DELETE", True): {"propagationPolicy"},
}  # fmt: skip
KINDS = {"jobs": ("batch/v1", "Job"), "configmaps": ("v1", "ConfigMap"), "pods": ("v1", "Pod")}


class KubeStub(ThreadingHTTPServer):
    """What the cluster keeps, what it was asked, and what it is told to do wrong next."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, dict[str, Any]] = {"jobs": {}, "configmaps": {}, "pods": {}}
        self.logs: dict[str, str] = {}
        self.asked: list[str] = []
        self.faults: list[tuple[str, int, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fail(self, what: str, status: int, message: str = "said so", *, times: int = 1) -> None:
        self.faults += [(what, status, message)] * times

    def end(self, name: str, how: str, **facts: str) -> None:
        """Lets a job end: Complete or Failed."""
        self.kept["jobs"][name]["status"] = {"conditions": [{"type": how, "status": "True", **facts}]}


class _Handler(BaseHTTPRequestHandler):
    server: KubeStub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        found = next(((what, match) for what, pattern in PATHS.items() if (match := pattern.match(url.path))), None)
        if found is None:
            return self.refuse(404, "the server could not find the requested resource")
        what, (namespace, name) = found[0], found[1].groups()
        self.server.asked.append(f"{self.command} {what}")
        fault = next((one for one in self.server.faults if one[0] == f"{self.command} {what}"), None)
        if fault:
            self.server.faults.remove(fault)
            return self.refuse(*fault[1:])
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "Unauthorized")
        if namespace not in NAMESPACES:
            return self.refuse(404, f'namespaces "{namespace}" not found')
        query = dict(parse_qsl(url.query))
        odd = set(query) - QUERIES.get((self.command, bool(name)), set())
        if odd:
            return self.refuse(400, f"unknown query parameter {min(odd)}")
        if what == "logs":
            return self.answer(200, self.server.logs[name].encode(), "text/plain")
        return self.change(what, name, data) if self.command != "GET" else self.show(what, name, query)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def show(self, what: str, name: str | None, query: dict[str, str]) -> None:
        there = self.server.kept[what]
        if name:
            return self.answer_json(200, there[name]) if name in there else self.refuse(404, f'{what} "{name}" not found')
        wanted = dict(part.split("=") for part in query.get("labelSelector", "").split(",") if part)
        items = [one for one in there.values() if wanted.items() <= one["metadata"].get("labels", {}).items()]
        version, kind = KINDS[what]
        return self.answer_json(200, {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": items})

    def change(self, what: str, name: str | None, data: bytes) -> None:
        there, body = self.server.kept[what], json.loads(data) if data else None
        if self.command == "DELETE":
            return self.answer_json(200, {"kind": "Status", "status": "Success"}) if there.pop(name, None) else self.refuse(404, f'{what} "{name}" not found')
        if self.command == "PATCH":
            return self.patch(there[str(name)], body)
        try:
            kubernetes_validate.validate(body, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            return self.refuse(422, f"{body.get('kind')} is invalid: {error.message}")
        if (body["apiVersion"], body["kind"]) != KINDS[what]:
            return self.refuse(400, f"the object is a {body['kind']}")
        known = body["metadata"]["name"]
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", known):
            return self.refuse(422, f'{what} "{known}" is invalid: metadata.name')
        if self.command == "POST" and known in there:
            return self.refuse(409, f'{what} "{known}" already exists')
        there[known] = body
        return self.answer_json(201 if self.command == "POST" else 200, body)

    def patch(self, one: dict[str, Any], body: dict[str, Any]) -> None:
        """A Job's template cannot change; how many pods it has can."""
        if set(body) != {"spec"} or set(body["spec"]) != {"parallelism"} or "patch+json" not in self.headers["Content-Type"].replace("json-patch", "patch"):
            return self.refuse(422, "Job is invalid: spec: field is immutable")
        one["spec"] |= body["spec"]
        return self.answer_json(200, one)

    def refuse(self, status: int, message: str) -> None:
        self.answer_json(status, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status})

    def answer_json(self, status: int, content: Any) -> None:
        self.answer(status, json.dumps(content).encode(), "application/json")

    def answer(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *words: object) -> None:
        pass


@contextmanager
def kube_stub() -> Iterator[KubeStub]:
    with KubeStub() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
