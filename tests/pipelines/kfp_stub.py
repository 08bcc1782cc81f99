"""A stand-in for Kubeflow Pipelines' API server: real HTTP on loopback, every request checked against the published API, answers as the real one gives.

Paths, query parameters and bodies come from `kfp_server_api`, which is generated from the published OpenAPI; an unknown field or a wrong type is a 400.
"""

import inspect
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import kfp_server_api
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

TOKEN, COOKIE, NAMESPACES = "open-sesame", "session=baked", ("team-a", "team-b")
WIDE_INTEGERS = ("max_concurrency", "interval_second")  # int64, which JSON carries as text or as a number


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Operation(NamedTuple):
    name: str
    verb: str
    path: re.Pattern[str]
    query: frozenset[str]
    body: str


def operations() -> Iterator[Operation]:
    """All that the published API has, read from its generated client."""
    for api in (value for key, value in vars(kfp_server_api).items() if key.endswith("ServiceApi")):
        for name, method in inspect.getmembers(api, inspect.isfunction):
            if name.endswith("_with_http_info"):
                text = inspect.getsource(method)
                path, verb = re.search(r"call_api\(\s*'([^']+)', '([A-Z]+)'", text).groups()  # type: ignore[union-attr]
                pattern = re.compile(re.sub(r"\\{[^}]+\\}", "([^/:]+)", re.escape(path)) + "$")
                body = re.search(r"body_params = local_var_params\['(\w+)'\]", text)
                kind = "V2beta1" + body[1].title().replace("_", "") if body else ""
                yield Operation(name.removesuffix("_with_http_info"), verb, pattern, frozenset(re.findall(r"query_params.append\(\('([\w.]+)'", text)), kind)


OPERATIONS = list(operations())


def check(value: Any, kind: str, where: str) -> None:
    """Refused where a value is not of the model's type, as the server's JSON reader would."""
    if kind.startswith("list["):
        _demand(isinstance(value, list), where, value)
        for i, one in enumerate(value):
            check(one, kind[5:-1], f"{where}[{i}]")
    elif kind.startswith("dict("):
        _demand(isinstance(value, dict), where, value)
        for key, one in value.items():
            check(one, kind[5:-1].partition(", ")[2], f"{where}.{key}")
    elif kind in ("str", "datetime"):
        _demand(isinstance(value, str) or (where.rpartition(".")[2] in WIDE_INTEGERS and type(value) is int), where, value)
    elif kind in ("int", "bool"):
        _demand(type(value).__name__ == kind, where, value)
    elif kind != "object":
        _check_model(value, getattr(kfp_server_api, kind), where)


def _check_model(value: Any, model: Any, where: str) -> None:
    if hasattr(model, "allowable_values") and not model.openapi_types:
        return _demand(value in model.allowable_values or type(value) is int, where, value)  # an enum is read by name or by number
    _demand(isinstance(value, dict), where, value)
    fields = {json_name: model.openapi_types[name] for name, json_name in model.attribute_map.items()}
    fields |= {re.sub(r"_(\w)", lambda found: found[1].upper(), name): kind for name, kind in fields.items()}
    for key, one in value.items():
        if key not in fields:
            raise Refused(400, f'proto: unknown field "{key}"')
        check(one, fields[key], f"{where}.{key}")
    return None


def _demand(good: bool, where: str, value: Any) -> None:
    if not good:
        raise Refused(400, f"proto: invalid value for {where} field: {json.dumps(value)}")


class KfpStub(ThreadingHTTPServer):
    """What the server keeps, what it was asked, and what it is told to do wrong next: a status, or `drop`."""

    daemon_threads = True

    def __init__(self, *, many: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.many, self.page_max = many, 2
        self.faults: list[tuple[str, int | str, str]] = []
        self.asked: list[str] = []
        self.bodies: dict[str, list[Any]] = {}
        self.kept: dict[str, list[dict[str, Any]]] = {"experiments": [], "pipelines": [], "pipeline_versions": [], "runs": [], "recurring_runs": []}
        self.states: list[str] = ["SUCCEEDED"]
        self.task_details: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fail(self, operation: str, how: int | str, message: str = "said so", *, times: int = 1) -> None:
        self.faults += [(operation, how, message)] * times

    def add(self, what: str, identifier: str, one: dict[str, Any]) -> dict[str, Any]:
        made = {**one, identifier: f"{what}-{len(self.kept[what]) + 1}"}
        self.kept[what].append(made)
        return made


class _Handler(BaseHTTPRequestHandler):
    server: KfpStub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(size)
        try:
            operation, words = self._operation()
            self.server.asked.append(operation.name)
            fault = next((fault for fault in self.server.faults if fault[0] == operation.name), None)
            if fault:
                self.server.faults.remove(fault)
                if fault[1] == "drop":
                    self.close_connection = True
                    return
                raise Refused(int(fault[1]), fault[2])
            self._check_access(operation)
            query = self._query(operation)
            body = self._body(operation, data)
            self.server.bodies.setdefault(operation.name, []).append(body)
            self._answer(200, ANSWERS[operation.name](self.server, words, query, body))
        except Refused as refused:
            code = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8}.get(refused.status, 13)
            self._answer(refused.status, {"error": str(refused), "code": code, "message": str(refused), "details": []})

    do_POST = do_DELETE = do_GET

    def _operation(self) -> tuple[Operation, tuple[str, ...]]:
        path = unquote(urlsplit(self.path).path)
        for operation in OPERATIONS:
            found = operation.path.match(path)
            if found and operation.verb == self.command and operation.name in ANSWERS:
                return operation, found.groups()
        raise Refused(404, f"Not Found: {self.command} {path}")

    def _check_access(self, operation: Operation) -> None:
        if operation.name == "healthz_service_get_healthz":
            return
        if self.headers.get("authorization") != f"Bearer {TOKEN}" and self.headers.get("Cookie") != COOKIE:
            raise Refused(401, "Unauthorized: request header error: there is no user identity header")

    def _query(self, operation: Operation) -> dict[str, str]:
        query = dict(parse_qsl(urlsplit(self.path).query))
        for key in query:
            if key not in operation.query:
                raise Refused(400, f'no field "{key}" found in the request message')
        return query

    def _body(self, operation: Operation, data: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + data)
            parts = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in message.get_payload()}
            if set(parts) != {"uploadfile"}:
                raise Refused(400, "http: no such file: uploadfile")
            return _pipeline(parts["uploadfile"])
        if not operation.body:
            return None
        body = json.loads(data)
        check(body, operation.body, operation.body)
        return body

    def _answer(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *words: object) -> None:
        pass


def _pipeline(data: bytes) -> dict[str, Any]:
    """The pipeline in an uploaded file; Refused where it is none, field by field."""
    spec, *platform = yaml.safe_load_all(data)
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        for one in platform:
            json_format.ParseDict(one, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        raise Refused(400, f"Invalid input error: invalid v2 pipeline spec: {error}") from error
    return dict(spec)


def _namespace(server: KfpStub, namespace: str) -> None:
    if not server.many and namespace:
        raise Refused(400, "Invalid input error: In single-user mode, the request cannot have a namespace")
    if server.many and not namespace:
        raise Refused(400, "Invalid input error: Namespace is empty in multi-user mode")
    if namespace and namespace not in NAMESPACES:
        raise Refused(403, f"PermissionDenied: User 'ada' is not authorized in namespace {namespace}")


def _listed(what: str, words: tuple[str, ...], server: KfpStub, query: dict[str, str]) -> dict[str, Any]:
    found = [one for one in server.kept[what] if not words or one.get("pipeline_id") == words[0]]
    if query.get("filter"):
        wanted = json.loads(query["filter"])
        check(wanted, "V2beta1Filter", "filter")
        for predicate in wanted["predicates"]:
            found = [one for one in found if one.get(predicate["key"]) == predicate["stringValue"]]
    start = int(query.get("page_token") or 0)
    stop = start + min(int(query.get("page_size") or 20), server.page_max)
    names = getattr(kfp_server_api, f"V2beta1List{what.title().replace('_', '')}Response").attribute_map
    return {names[what]: found[start:stop], names["total_size"]: len(found), names["next_page_token"]: str(stop) if stop < len(found) else ""}


def _list(what: str) -> Callable[..., Any]:
    def answer(server: KfpStub, words: tuple[str, ...], query: dict[str, str], body: Any) -> Any:
        if what != "pipeline_versions":
            _namespace(server, query.get("namespace", ""))
        return _listed(what, words, server, query)

    return answer


def _create_named(what: str, identifier: str) -> Callable[..., Any]:
    def answer(server: KfpStub, words: tuple[str, ...], query: dict[str, str], body: Any) -> Any:
        _namespace(server, body.get("namespace", ""))
        if not body.get("display_name"):
            raise Refused(400, "Invalid input error: the name is empty")
        if any(one["display_name"] == body["display_name"] for one in server.kept[what]):
            raise Refused(409, f"Already exist error: {body['display_name']}")
        return server.add(what, identifier, body)

    return answer


def _upload(server: KfpStub, words: tuple[str, ...], query: dict[str, str], body: Any) -> Any:
    if not any(one["pipeline_id"] == query.get("pipelineid") for one in server.kept["pipelines"]):
        raise Refused(404, f"Pipeline {query.get('pipelineid')} not found")
    if any((one["pipeline_id"], one["name"]) == (query["pipelineid"], query["name"]) for one in server.kept["pipeline_versions"]):
        raise Refused(409, f"Already exist error: the version {query['name']}")
    one = {"pipeline_id": query["pipelineid"], "name": query["name"], "display_name": query["name"], "pipeline_spec": body}
    return server.add("pipeline_versions", "pipeline_version_id", one)


def _check_runnable(server: KfpStub, body: Any) -> None:
    reference = body.get("pipeline_version_reference", {})
    version = next((one for one in server.kept["pipeline_versions"] if one["pipeline_version_id"] == reference.get("pipeline_version_id")), None)
    if version is None or not any(one["experiment_id"] == body.get("experiment_id") for one in server.kept["experiments"]):
        raise Refused(404, "ResourceNotFoundError: pipeline version or experiment not found")
    known = version["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]
    for name, value in body.get("runtime_config", {}).get("parameters", {}).items():
        if name not in known:
            raise Refused(400, f"Invalid input error: parameter {name} is not in the pipeline's input definitions")
        if known[name]["parameterType"] == "STRING" and not isinstance(value, str):
            raise Refused(400, f"Invalid input error: parameter {name} is no string")


def _create_run(server: KfpStub, words: tuple[str, ...], query: dict[str, str], body: Any) -> Any:
    _check_runnable(server, body)
    return {**server.add("runs", "run_id", body), "state": "PENDING"}


def _get_run(server: KfpStub, words: tuple[str, ...], query: dict[str, str], body: Any) -> Any:
    found = next((one for one in server.kept["runs"] if one["run_id"] == words[0]), None)
    if found is None:
        raise Refused(404, f"ResourceNotFoundError: Run {words[0]} not found")
    state = server.states.pop(0) if len(server.states) > 1 else server.states[0]
    return {**found, "state": state, "run_details": {"task_details": server.task_details}}


def _create_recurring(server: KfpStub, words: tuple[str, ...], query: dict[str, str], body: Any) -> Any:
    _check_runnable(server, body)
    trigger, concurrency = body.get("trigger", {}), int(body.get("max_concurrency", 0))
    if len(trigger) != 1 or not 1 <= concurrency <= 10:
        raise Refused(400, "Invalid input error: a recurring run has one trigger, and a max_concurrency from 1 to 10")
    cron = trigger.get("cron_schedule", {}).get("cron")
    if cron is not None and len(cron.split()) != 6:
        raise Refused(400, f"Invalid input error: Schedule cron is not a valid cron expression: {cron}")
    status = "ENABLED" if body.get("mode") == "ENABLE" else "DISABLED"
    return server.add("recurring_runs", "recurring_run_id", {**body, "max_concurrency": str(concurrency), "status": status})


def _recurring(server: KfpStub, identifier: str) -> dict[str, Any]:
    for one in server.kept["recurring_runs"]:
        if one["recurring_run_id"] == identifier:
            return one
    raise Refused(404, f"ResourceNotFoundError: Recurring run {identifier} not found")


def _set_status(status: str) -> Callable[..., Any]:
    return lambda server, words, query, body: _recurring(server, words[0]).update(status=status) or {}


def _delete_recurring(server: KfpStub, words: tuple[str, ...], query: dict[str, str], body: Any) -> Any:
    server.kept["recurring_runs"].remove(_recurring(server, words[0]))
    return {}


ANSWERS: dict[str, Callable[..., Any]] = {
    "healthz_service_get_healthz": lambda server, words, query, body: {"multi_user": server.many, "pipeline_store": "database"},
    "experiment_service_list_experiments": _list("experiments"),
    "experiment_service_create_experiment": _create_named("experiments", "experiment_id"),
    "pipeline_service_list_pipelines": _list("pipelines"),
    "pipeline_service_create_pipeline": _create_named("pipelines", "pipeline_id"),
    "pipeline_service_list_pipeline_versions": _list("pipeline_versions"),
    "upload_pipeline_version": _upload,
    "run_service_create_run": _create_run,
    "run_service_get_run": _get_run,
    "run_service_list_runs": _list("runs"),
    "recurring_run_service_create_recurring_run": _create_recurring,
    "recurring_run_service_list_recurring_runs": _list("recurring_runs"),
    "recurring_run_service_enable_recurring_run": _set_status("ENABLED"),
    "recurring_run_service_disable_recurring_run": _set_status("DISABLED"),
    "recurring_run_service_delete_recurring_run": _delete_recurring,
}


@contextmanager
def kfp_stub(*, many: bool = False) -> Iterator[KfpStub]:
    with KfpStub(many=many) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
