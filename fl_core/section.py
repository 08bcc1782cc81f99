"""The sections of a job file: what each may hold, checked when it is read."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from fl_core.schedule import load_schedule

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_RULE = "a name is 1 to 63 letters, digits, '.', '_' or '-', and starts with a letter or digit."


def _file_name(name: str) -> str:
    if not FILE_NAME.fullmatch(name):
        raise ValueError(NAME_RULE)
    return name


FileName = Annotated[str, AfterValidator(_file_name)]
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
_PLACE = r"[A-Za-z0-9][\w.-]*(:[0-9]+)?(/[\w.-]+)*"
Registry = Annotated[str, Field(pattern=rf"^({_PLACE}/?)?$", max_length=255)]
ImageName = Annotated[str, Field(pattern=rf"^({_PLACE}(:[\w.-]+)?(@sha256:[0-9a-f]{{64}})?)?$", max_length=512)]


class Section(BaseModel):
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


class SharedData(Data):
    """The data of the workers that name none of their own; nameless where there are none such, and `held_out` counts for all."""

    name: str = ""


DataOrName = Annotated[Data, BeforeValidator(_named)]
SharedDataOrName = Annotated[SharedData, BeforeValidator(_named)]


class Optimizer(BaseModel):
    """A class of `paddle.optimizer` by name and its arguments; `state` says what becomes of its state between a client's rounds, `schedule` what becomes of
    its learning rate."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str | None = None
    state: Literal["reset", "keep"] = "reset"
    schedule: NamedOrName | None = None

    @field_validator("schedule")
    @classmethod
    def _known(cls, schedule: Named | None) -> Named | None:
        if schedule is not None:
            load_schedule(schedule.name, schedule.options)
        return schedule

    def rate_factor(self, round: int, rounds: int) -> float:
        """What the learning rate is multiplied by in a round of a job of so many rounds."""
        return load_schedule(self.schedule.name, self.schedule.options)(round, rounds) if self.schedule else 1.0

    @property
    def options(self) -> dict[str, Any]:
        """The arguments; a learning rate of 1 becomes 1.0, which is what Paddle takes."""
        return {key: float(value) if key == "learning_rate" and type(value) is int else value for key, value in (self.model_extra or {}).items()}


OptimizerOrName = Annotated[Optimizer, BeforeValidator(_named)]


class WorkerSection(Section):
    """One organisation's worker: its name and, where they are its own, data, clients, key, pinned program and cluster settings."""

    name: FileName
    data: DataOrName | None = None
    clients: list[str] | None = None
    public_key: str | None = None
    program_sha256: str | None = None
    resources: dict[str, Any] = {}
    kubernetes: dict[str, Any] = {}


class ServerSection(Section):
    """What the tasks that are no worker's ask of the cluster: server, scheduler, generator."""

    resources: dict[str, Any] = {}
    kubernetes: dict[str, Any] = {}


class Images(Section):
    """Which images the stages run in: this release's, in `registry` where one is named; or `server` and `worker`, each a whole name."""

    registry: Registry = ""
    server: ImageName = ""
    worker: ImageName = ""


class FederationSection(Section):
    workers: Annotated[int, Field(ge=1, le=1000)] | Annotated[list[WorkerSection], Field(min_length=1)] = 1
    server: ServerSection = ServerSection()
    images: Images = Images()
    parts: Annotated[int, Field(ge=1, le=1000)] | None = None


class Evaluation(Section):
    every_rounds: Positive = 1
    on: Literal["test", "held_out", "both"] = "test"
    around_training: bool = False


class Publish(Section):
    """The finished model becomes a version of the registry, and production where `metric` is not worse than production's by more than `tolerance`."""

    metric: Annotated[str, Field(min_length=1)]
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    promote: Literal["auto", "never"] = "auto"


class Schedule(Section):
    """What is particular to the job's occurrences under a schedule: overrides in which {occurrence} is its number, and whether it needs new data."""

    set: list[str] = []
    only_with_new_data: bool = False
