"""The job: what is trained, by whom and how; read from YAML, checked once here, trusted everywhere else."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from fl_core.codec import sha256
from fl_core.errors import FederationError, InputError, did_you_mean
from fl_core.reference import FOLDERS, resolve, user_file

JOB_BYTES_MAX = 65_536
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_RULE = "a name is 1 to 63 letters, digits, '.', '_' or '-', and starts with a letter or digit."

Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Named(BaseModel):
    """Something by name with options of its own; a bare name is short for it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field(min_length=1)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NamedOrName = Annotated[Named, BeforeValidator(_named)]


class Data(Named):
    partition: NamedOrName | None = None
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.0


DataOrName = Annotated[Data, BeforeValidator(_named)]


class Optimizer(BaseModel):
    """A class of `paddle.optimizer` by name and its arguments; `state` says what becomes of its state between a client's rounds."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str | None = None
    state: Literal["reset", "keep"] = "reset"

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class WorkerSection(_Section):
    """One organisation's worker: its name and, where they are its own, data, clients, key, pinned program and cluster settings."""

    name: str
    data: DataOrName | None = None
    clients: list[str] | None = None
    public_key: str | None = None
    program_sha256: str | None = None
    resources: dict[str, Any] = {}
    kubernetes: dict[str, Any] = {}

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        if not FILE_NAME.fullmatch(name):
            raise ValueError(NAME_RULE)
        return name


class FederationSection(_Section):
    workers: Annotated[int, Field(ge=1, le=1000)] | list[WorkerSection] = 1
    parts: Annotated[int, Field(ge=1, le=1000)] | None = None

    @field_validator("workers")
    @classmethod
    def _distinct(cls, workers: int | list[WorkerSection]) -> int | list[WorkerSection]:
        if isinstance(workers, list):
            names = [worker.name for worker in workers]
            if not names:
                raise ValueError("a federation has at least one worker.")
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"'{min(twice)}' is there twice; each worker has a name of its own.")
        return workers


class Evaluation(_Section):
    every_rounds: Positive = 1
    on: Literal["test", "held_out", "both"] = "test"
    around_training: bool = False


class Job(_Section):
    """A job as its file says it; `code` holds the user's files that it names."""

    format: Literal[1]
    name: str
    program: NamedOrName
    strategy: NamedOrName = Named(name="fed_avg")
    selection: NamedOrName = Named(name="everyone")
    data: DataOrName
    federation: FederationSection = FederationSection()
    rounds: Annotated[int, Field(ge=1, le=1_000_000)]
    stop_when: dict[str, float] = {}
    optimizer: Optimizer = Optimizer()
    evaluate: Evaluation = Evaluation()
    quorum: Fraction = 0.6
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    deadline_seconds: Annotated[float, Field(gt=0, le=604_800)] | None = None
    keep_updates: Literal["all", "last_round", "none"] = "last_round"
    keep_states: Annotated[int, Field(ge=1)] | Literal["all", "auto"] = "auto"
    start_from: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    privacy: dict[str, Any] = {}
    code: Mapping[str, str] = Field(default={}, exclude=True, repr=False)

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        if not FILE_NAME.fullmatch(name):
            raise ValueError(NAME_RULE)
        return name

    @model_validator(mode="after")
    def _agrees(self) -> "Job":
        if self.privacy:
            raise ValueError("privacy: this release offers no protection under 'privacy'; leave it empty.")
        needs_held_out = self.evaluate.on != "test" or self.evaluate.around_training
        if needs_held_out and not self.data.held_out:
            raise ValueError("evaluate: it needs a held-out part of each client, but data.held_out is 0; set it, for example to 0.2.")
        return self

    @cached_property
    def text(self) -> str:
        """The job as YAML, complete: what is copied into the run."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_unset=False), sort_keys=False, allow_unicode=True)

    @cached_property
    def code_sha256(self) -> dict[str, str]:
        return {name: sha256(text.encode()) for name, text in sorted(self.code.items())}

    @cached_property
    def digest(self) -> str:
        """sha256 over the job and the code that it names."""
        whole = {"job": self.model_dump(mode="json"), "code": self.code_sha256}
        return sha256(json.dumps(whole, sort_keys=True).encode())

    def seed_for(self, *words: object) -> int:
        """A 63-bit seed for one use, such as ("train", round, client); never for noise or masks that protect people."""
        text = "\n".join(map(str, (self.seed, *words)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1

    def resolve(self, kind: str, name: str) -> Any:
        return resolve(kind, name, self.code)

    def build(self, kind: str, named: Named, **more: Any) -> Any:
        """Calls the builder that `named` stands for with its options; unknown ones and bad values are one sentence."""
        return call_with_options(self.resolve(kind, named.name), kind, named, more)

    def bundle(self) -> str:
        """Job and code as one line of JSON: what a pipeline's `job` parameter and a training process get."""
        return json.dumps({"job": self.text, "code": dict(self.code)}, sort_keys=True)

    @property
    def workers(self) -> list[WorkerSection]:
        """The workers, also of a numeric federation."""
        workers = self.federation.workers
        return workers if isinstance(workers, list) else [WorkerSection(name=f"worker-{i}") for i in range(workers)]


def call_with_options(builder: Callable[..., Any], kind: str, named: Named, more: Mapping[str, Any]) -> Any:
    """builder(**options, **more), where pydantic checks the options against the annotations."""
    import inspect

    from pydantic import validate_call

    if not callable(builder):
        raise InputError(f"The {kind} '{named.name}' is no function; name one that builds it.")
    known = inspect.signature(builder).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for option in named.options:
        if option not in known and not takes_any:
            raise InputError(f"{kind}.{option} is not an option of '{named.name}'; {did_you_mean(option, set(known) - set(more))}")
    missing = [
        word for word, parameter in known.items()
        if parameter.default is parameter.empty and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and word not in named.options and word not in more
    ]  # fmt: skip
    if missing:
        raise InputError(f"{kind}.{missing[0]} is missing; '{named.name}' needs it.")
    try:
        checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(builder)
        return checked(**named.options, **more)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{kind}.{where} is {first['input']!r}; {_plain(first['msg'])}") from error
    except FederationError:
        raise
    except Exception as error:
        raise InputError(f"The {kind} '{named.name}' cannot be built: {type(error).__name__}: {error}.") from error


def load_job(path: str | Path, overrides: Iterable[str] = ()) -> Job:
    """The job in a file, with `key.path=value` overrides (values are YAML); InputError where anything is wrong with it."""
    path = Path(path)
    try:
        if path.stat().st_size > JOB_BYTES_MAX:
            raise InputError(f"The job file '{path}' has {path.stat().st_size} bytes; a job has at most {JOB_BYTES_MAX}.")
        text = path.read_text()
    except OSError as error:
        raise InputError(f"The job file '{path}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The job file '{path}' is not UTF-8 text.") from error
    return parse_job(text, overrides, folder=path.absolute().parent, what=f"The job file '{path}'")


def parse_bundle(bundle: str, overrides: Iterable[str] = ()) -> Job:
    """The job in a bundle (see `Job.bundle`)."""
    try:
        content = json.loads(bundle)
        text, code = content["job"], content["code"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"The job bundle is not JSON with 'job' and 'code' ({type(error).__name__}); `fl compile` writes one.") from error
    return parse_job(text, overrides, code=code, what="The job bundle")


def parse_job(
    text: str, overrides: Iterable[str] = (), *, folder: Path | None = None, code: Mapping[str, str] | None = None, what: str = "The job"
) -> Job:
    """The job in a text. Files are looked for in `folder`; where it is None, `code` holds them and paths stay as they are."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"{what} is not YAML{where}: {getattr(error, 'problem', None) or 'it cannot be read'}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{what} holds {type(content).__name__}, not keys and values.")
    for override in overrides:
        _override(content, override)
    if "format" in content and content["format"] != 1:
        raise InputError(f"{what} has format {content['format']!r}; this version reads format 1.")
    if folder is not None:
        _absolute_paths(content, folder)
        code = _read_code(content, folder)
    try:
        return Job(**content, code=dict(code or {}))
    except ValidationError as error:
        raise InputError(_sentence(error, content)) from error
    except TypeError as error:
        raise InputError(f"{what} has a key that is no word ({error}).") from error


def _override(content: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key.strip():
        raise InputError(f"'--set {override}' is not of the form key.path=value.")
    *above, last = key.strip().split(".")
    place: Any = content
    for i, word in enumerate(above):
        if isinstance(place.get(word), str) and word in (*FOLDERS, "partition"):
            place[word] = {"name": place[word]}
        place = place.setdefault(word, {})
        if not isinstance(place, dict):
            raise InputError(f"'--set {override}': '{'.'.join(above[: i + 1])}' holds no keys.")
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"'--set {override}': the value is not YAML.") from error


def _absolute_paths(content: dict[str, Any], folder: Path) -> None:
    workers = content.get("federation", {}).get("workers", []) if isinstance(content.get("federation"), dict) else []
    sections = [content.get("data")] + [worker.get("data") for worker in workers if isinstance(worker, dict)] if isinstance(workers, list) else [content.get("data")]
    for data in sections:
        for key, value in list(data.items()) if isinstance(data, dict) else []:
            if (key == "path" or str(key).endswith("_path")) and isinstance(value, str) and "://" not in value:
                data[key] = str((folder / Path(value).expanduser()).resolve())
    start = content.get("start_from")
    if isinstance(start, str) and start and not start.startswith("models:") and "://" not in start:
        content["start_from"] = str((folder / start).resolve())


def _names(content: Any) -> Iterable[str]:
    """Every name in the job that may speak of a user's file."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in FOLDERS and isinstance(value, str):
                yield value
            elif key == "name" and isinstance(value, str):
                yield value
            else:
                yield from _names(value)
    elif isinstance(content, list):
        for value in content:
            yield from _names(value)


def _read_code(content: dict[str, Any], folder: Path) -> dict[str, str]:
    code = {}
    for file in {user_file(name) for name in _names(content)} - {None}:
        assert file is not None
        try:
            code[file] = (folder / file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The job names '{file}', but it cannot be read from {folder}: {getattr(error, 'strerror', error)}.") from error
        if len(code[file]) > JOB_BYTES_MAX:
            raise InputError(f"'{file}' has {len(code[file])} bytes; a file of a job has at most {JOB_BYTES_MAX}.")
    return code


_RULES: Mapping[str, str] = {
    "rounds": "a job has at least 1.",
    "quorum": "it is a share of the round's clients, from 0 to 1.",
    "retries": "it is a number from 0 to 100.",
    "deadline_seconds": "it is a number of seconds above 0, or null for none.",
    "data.held_out": "it is a share of each client's examples, from 0 up to 1.",
    "federation.workers": "it is a number from 1 to 1000, or a list of workers with names.",
    "seed": "it is a whole number from 0 on.",
}


def _sentence(error: ValidationError, content: Mapping[str, Any]) -> str:
    """The first thing that is wrong, as one sentence with key, value and way out."""
    order = {"extra_forbidden": 0, "missing": 1}
    first = min(error.errors(), key=lambda e: order.get(e["type"], 2))
    where = ".".join(str(word) for word in first["loc"] if not str(word).startswith(("list[", "function-", "constrained")) and word not in ("int", "literal['all','auto']"))
    if first["type"] == "extra_forbidden":
        key = where.rpartition(".")[2]
        return f"'{where}' is no key of a job; {did_you_mean(key, _known_keys(where))}"
    if first["type"] == "missing":
        return f"'{where}' is missing; a job needs it."
    if first["type"] == "value_error":
        message = _plain(first["msg"])
        return f"{where} is {first['input']!r}; {message}" if where else message
    return f"{where} is {first['input']!r}; {_RULES.get(where) or _plain(first['msg'])}"


def _known_keys(where: str) -> list[str]:
    sections: dict[str, type[BaseModel]] = {"evaluate": Evaluation, "federation": FederationSection, "federation.workers": WorkerSection}
    above = ".".join(word for word in where.split(".")[:-1] if not word.isdigit())
    return [key for key in sections.get(above, Job).model_fields if key != "code"]


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message[:6] == "Input " else message
    return message if message.endswith((".", "?")) else f"{message}."
