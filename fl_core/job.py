"""The job: what is trained, by whom and how; read from YAML, checked once here, trusted everywhere else."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from fl_core.builder import build
from fl_core.codec import sha256
from fl_core.errors import InputError
from fl_core.reference import FOLDERS, resolve, user_file
from fl_core.section import (
    Evaluation,
    FederationSection,
    FileName,
    Fraction,
    Images,
    Named,
    NamedOrName,
    Optimizer,
    OptimizerOrName,
    Publish,
    Schedule,
    Section,
    ServerSection,
    SharedData,
    SharedDataOrName,
    WorkerSection,
)
from fl_core.sentence import key_of, say, shown, unknown, worst
from fl_core.yaml_text import read_yaml, write_yaml

JOB_BYTES_MAX = 65_536
OWN_DATA = "every worker of federation.workers names its own data; change it there."


class Job(Section):
    """A job as its file says it; `code` holds the user's files that it names."""

    format: Literal[1]
    name: FileName
    program: NamedOrName
    strategy: NamedOrName = Named(name="fed_avg")
    selection: NamedOrName = Named(name="everyone")
    data: SharedDataOrName = SharedData()
    federation: FederationSection = FederationSection()
    rounds: Annotated[int, Field(ge=1, le=1_000_000)]
    stop_when: Mapping[str, float] = Field(default={})
    optimizer: OptimizerOrName = Optimizer()
    evaluate: Evaluation = Evaluation()
    quorum: Fraction = 0.6
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    deadline_seconds: Annotated[float, Field(gt=0, le=604_800)] | None = None
    keep_updates: Literal["all", "last_round", "none"] = "last_round"
    keep_states: Annotated[int, Field(ge=1)] | Literal["all", "auto"] = "auto"
    start_from: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    privacy: Mapping[str, Any] = Field(default={})
    engine: Literal["one_by_one", "batched"] = "one_by_one"
    publish: Publish | None = None
    schedule: Schedule = Schedule()
    code: Mapping[str, str] = Field(default={}, exclude=True, repr=False)

    @model_validator(mode="after")
    def _agrees(self) -> "Job":
        if self.privacy:
            raise ValueError(f"privacy is {shown(self.privacy)}; this release offers no protection, leave it empty.")
        if not self.data.name and not self.all_have_own_data:
            key = "data" if self.data == SharedData() else "data.name"
            raise ValueError(f"'{key}' is missing; a job needs it, unless every worker of federation.workers names its own data.")
        odd = [*self.data.options, *(["partition"] if self.data.partition else [])]
        if not self.data.name and odd:
            raise ValueError(f"data.{odd[0]} has no effect: {OWN_DATA}")
        names = [worker.name for worker in self.workers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"federation.workers has two called '{twice}'; give each worker a name of its own.")
        if self.optimizer.options and self.optimizer.name is None:
            raise ValueError(f"optimizer.name is missing, but optimizer.{min(self.optimizer.options)} is set; name the optimizer, such as SGD.")
        rate = self.optimizer.options.get("learning_rate", 0.0)
        if not isinstance(rate, float) or not 0 <= rate < math.inf:
            raise ValueError(f"optimizer.learning_rate is {shown(rate)}; it is a number from 0 on.")
        if not self.data.held_out and (self.evaluate.on != "test" or self.evaluate.around_training):
            key = "on" if self.evaluate.on != "test" else "around_training"
            value = self.evaluate.on if key == "on" else "true"
            raise ValueError(f"evaluate.{key} is {value}, but data.held_out is 0; set a share of each client's examples to hold out, such as 0.2.")
        return self

    @cached_property
    def text(self) -> str:
        """The job as YAML, complete: what is copied into the run."""
        return write_yaml(self.model_dump(mode="json"))

    @cached_property
    def code_sha256(self) -> dict[str, str]:
        return {name: sha256(text.encode()) for name, text in sorted(self.code.items())}

    @cached_property
    def digest(self) -> str:
        """sha256 over the job and the code that it names."""
        whole = {"job": self.model_dump(mode="json"), "code": self.code_sha256}
        return sha256(json.dumps(whole, sort_keys=True).encode())

    @cached_property
    def program_sha256(self) -> str:
        """sha256 over the code that the job brings along, the program that it names, and the functions of installed modules that strategy and selection name,
        which may be any: what a worker pins."""
        named = [section.model_dump(mode="json") for section in (self.strategy, self.selection)]
        foreign = sorted({text for text in _texts(named) if ":" in text and user_file(text) is None})
        pinned = {"program": self.program.model_dump(mode="json"), "code": self.code_sha256, **({"modules": foreign} if foreign else {})}
        return sha256(json.dumps(pinned, sort_keys=True).encode())

    def seed_for(self, *words: object) -> int:
        """A 63-bit seed for one use, such as ("train", round, client); never for noise or masks that protect people."""
        text = "\n".join(map(str, (self.seed, *words)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1

    def resolve(self, kind: str, name: str) -> Any:
        return resolve(kind, name, self.code)

    def build(self, kind: str, named: Named, **more: Any) -> Any:
        """Calls the builder that `named` stands for with its options; unknown ones and bad values are one sentence."""
        return build(self.resolve(kind, named.name), kind, named.name, named.options, more, type(named).model_fields)

    def bundle(self) -> str:
        """Job and code as one line of JSON: what a pipeline's `job` parameter and a training process get."""
        return json.dumps({"job": self.text, "code": dict(self.code)}, sort_keys=True)

    @property
    def all_have_own_data(self) -> bool:
        """Whether every worker names its own data, so that of the job's `data` only `held_out` counts."""
        return all(worker.data is not None for worker in self.workers)

    @property
    def workers(self) -> list[WorkerSection]:
        """The workers, also of a numeric federation."""
        workers = self.federation.workers
        return workers if isinstance(workers, list) else [WorkerSection(name=f"worker-{i}") for i in range(workers)]


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


def parse_job(text: str, overrides: Iterable[str] = (), *, folder: Path | None = None, code: Mapping[str, str] | None = None, what: str = "The job") -> Job:
    """The job in a text. Files are looked for in `folder`; where it is None, `code` holds them and paths stay as they are."""
    content = read_yaml(text, what)
    if not isinstance(content, dict):
        raise InputError(f"{what} is {'empty' if content is None else f'a {type(content).__name__}'}; a job holds keys and values.")
    overrides = list(overrides)
    for override in overrides:
        _override(content, override)
    if "format" in content and content["format"] != 1:
        raise InputError(f"{what} has format {content['format']!r}; this version reads format 1.")
    if folder is not None:
        _absolute_paths(content, folder)
        code = _read_code(content, folder)
    odd = next((key for key in content if not isinstance(key, str) or key == "code"), None)
    if odd is not None:
        raise InputError(unknown(str(odd), _known_keys("")))
    for key, number in _fractions(content):
        if not math.isfinite(number):
            raise InputError(f"{key} is {number}; it is a number, neither NaN nor Inf.")
    try:
        job = Job(**content, code=dict(code or {}))
    except ValidationError as error:
        raise InputError(_sentence(error)) from error
    _check_effects(job, overrides)
    return job


def _fractions(content: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Every number of the job that is not whole, with its key."""
    if isinstance(content, float):
        yield key, content
    elif isinstance(content, dict | list):
        for word, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _fractions(value, f"{key}.{word}" if key else str(word))


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
    place[last] = read_yaml(value, f"The value of '--set {override}'")


def _check_effects(job: Job, overrides: Iterable[str]) -> None:
    """InputError for an override of data that nobody opens."""
    for override in overrides if job.all_have_own_data else ():
        key = override.partition("=")[0].strip()
        if key.split(".")[0] == "data" and key != "data.held_out":
            raise InputError(f"'--set {override}' has no effect: {OWN_DATA}")


def _absolute_paths(content: dict[str, Any], folder: Path) -> None:
    program = content.get("program")
    for section in [*_data_sections(content), *([program] if isinstance(program, dict) else [])]:
        for key, value in list(section.items()):
            if (key == "path" or str(key).endswith("_path")) and isinstance(value, str) and "://" not in value:
                section[key] = str((folder / Path(value).expanduser()).resolve())
    start = content.get("start_from")
    if isinstance(start, str) and start and not start.startswith("models:") and "://" not in start:
        content["start_from"] = str((folder / Path(start).expanduser()).resolve())


def _data_sections(content: Mapping[str, Any]) -> list[dict[Any, Any]]:
    """The job's data section and those of its workers, as far as they hold keys."""
    federation = content.get("federation")
    workers = federation.get("workers") if isinstance(federation, dict) else None
    sections = [content, *(workers if isinstance(workers, list) else [])]
    return [section["data"] for section in sections if isinstance(section, dict) and isinstance(section.get("data"), dict)]


def _names(content: Any) -> Iterable[str]:
    """Every name in the job that may speak of a user's file."""
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(value, str) and (key in FOLDERS or key == "name"):
                yield value
            else:
                yield from _names(value)
    elif isinstance(content, list):
        for value in content:
            yield from _names(value)


def _texts(content: Any) -> Iterable[str]:
    """Every text in the content, at whatever depth."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _texts(value)


def _read_code(content: dict[str, Any], folder: Path) -> dict[str, str]:
    return {file: _read_file(file, folder) for name in _names(content) if (file := user_file(name)) is not None}


def _read_file(file: str, folder: Path) -> str:
    if Path(file).is_absolute() or any(part in ("", ".", "..") for part in file.split("/")):
        raise InputError(f"The job names '{file}', which does not lie in the folder of the job file or below; put it there.")
    try:
        text = (folder / file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The job names '{file}', but it cannot be read from {folder}: {getattr(error, 'strerror', 'it is not UTF-8 text')}.") from error
    if len(text.encode()) > JOB_BYTES_MAX:
        raise InputError(f"'{file}' has {len(text.encode())} bytes; a file of a job has at most {JOB_BYTES_MAX}.")
    return text


_RANGES: Mapping[str, str] = {
    "rounds": "a job has at least 1.",
    "quorum": "it is a share of the round's clients, from 0 to 1.",
    "deadline_seconds": "it is a number of seconds above 0, or null for none.",
    "data.held_out": "it is a share of each client's examples, from 0 up to 1.",
}
_SHAPES: Mapping[str, str] = {
    "program": "name one, such as my_program.py:program.",
    "strategy": "name one, such as fed_avg.",
    "selection": "name one, such as uniform.",
    "data": "name one, such as digits.",
    "data.partition": "name one, such as iid.",
    "optimizer": "name one, such as SGD.",
    "federation.workers": "it is a number from 1 to 1000, or a list of workers with names.",
    "federation.images.registry": "it is a registry without https://, such as registry.example/team.",
    "federation.images.server": "it is an image's name, such as registry.example/server:1.0.",
    "federation.images.worker": "it is an image's name, such as registry.example/worker:1.0.",
    "keep_states": "it is a number of rounds from 1 on, all, or auto.",
    "publish": "it names the metric that decides, such as {metric: accuracy}.",
}


def _sentence(error: ValidationError) -> str:
    """The worst of what is wrong, as one sentence with key, value and way out."""
    found = worst(error)
    key = key_of(found)
    if found["type"] == "extra_forbidden":
        return unknown(key, _known_keys(key))
    if found["type"] == "missing":
        return f"'{key}' is missing; a job needs it."
    return say(found, key, {**_SHAPES, **_RANGES} if found["type"].startswith(("greater", "less")) else _SHAPES)


def _known_keys(where: str) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        "evaluate": Evaluation, "federation": FederationSection, "federation.workers": WorkerSection, "federation.server": ServerSection,
        "federation.images": Images, "publish": Publish, "schedule": Schedule,
    }  # fmt: skip
    above = ".".join(word for word in where.split(".")[:-1] if not word.isdigit())
    return [key for key in sections.get(above, Job).model_fields if key != "code"]
