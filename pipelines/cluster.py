"""All cluster policy: what each task asks of Kubernetes, in general and for one worker. Runners on a laptop pass it over."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from kfp import dsl, kubernetes
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components import SERVER_IMAGE
from fl_core.errors import InputError, did_you_mean
from fl_core.job import Job
from fl_core.section import ServerSection, WorkerSection
from fl_core.stage import PRIVATE

USER = 1000
SCRATCH, SCRATCH_PATH, SCRATCH_SIZE = "scratch", "/tmp", "2Gi"
BACKOFF, BACKOFF_FACTOR, BACKOFF_MAX = "10s", 2, "600s"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MORE_CREDENTIALS = ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_REGION", PRIVATE)
STORE_SECRET = "paddlefl-store"  # of tasks that have no secret of their own, where the namespace has it

Cpu = Annotated[str, Field(pattern=r"^([0-9]*[.])?[0-9]+m?$", coerce_numbers_to_str=True)]
Memory = Annotated[str, Field(pattern=r"^[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?$")]
Image = Annotated[str, Field(pattern=r"^\S+$")]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(_Settings):
    """What the tasks of a worker, or of the server, need; each is both request and limit."""

    cpu: Cpu | None = None
    memory: Memory | None = None


class Secret(_Settings):
    """A Secret of the run's namespace, and which of its keys become which variables."""

    name: str
    env: dict[str, str]


class Toleration(_Settings):
    key: str | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None


class Kubernetes(_Settings):
    """Where and as what tasks of a worker, or of the server, run. A secret by name alone holds the store's credentials, by the names of their variables."""

    secret: str | Secret | None = None
    node_selector: dict[str, str] = {}
    tolerations: list[Toleration] = []
    labels: dict[str, str] = {}
    timeout_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    image: Image | None = None


Section = TypeVar("Section", Resources, Kubernetes)


def apply_policy(task: dsl.PipelineTask, job: Job, worker: str = "") -> None:
    """Gives the task what all tasks get, and what the job asks for its worker, or for the server."""
    kubernetes.empty_dir_mount(task, SCRATCH, SCRATCH_PATH, size_limit=SCRATCH_SIZE)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    if job.retries:
        task.set_retry(job.retries, backoff_duration=BACKOFF, backoff_factor=BACKOFF_FACTOR, backoff_max_duration=BACKOFF_MAX)
    section = section_of(job, worker)
    settings = kubernetes_of(section)
    if not settings.secret:
        kubernetes.use_secret_as_env(task, STORE_SECRET, {name: name for name in (*CREDENTIALS, *MORE_CREDENTIALS)}, optional=True)
    _apply_resources(task, resources_of(section))
    _apply_kubernetes(task, settings)
    set_image(task, job, worker)


def section_of(job: Job, worker: str) -> WorkerSection | ServerSection:
    """What the job says of the worker, or, for '', of the tasks that are no worker's."""
    return next((section for section in job.workers if section.name == worker), job.federation.server)


def image_of(job: Job, base: str, worker: str = "") -> str:
    """The image that a task of the release's image `base` runs in: its worker's own, the one that the job names, or `base` in the job's registry."""
    images = job.federation.images
    named = kubernetes_of(section_of(job, worker)).image or (images.server if base == SERVER_IMAGE else images.worker)
    return named or "/".join(part for part in (images.registry.rstrip("/"), base) if part)


def set_image(task: dsl.PipelineTask, job: Job, worker: str = "") -> None:
    """The part of a task's policy that holds on a laptop too."""
    task.set_container_image(image_of(job, task.container_spec.image, worker))


def _apply_resources(task: dsl.PipelineTask, resources: Resources) -> None:
    if resources.cpu:
        task.set_cpu_request(resources.cpu).set_cpu_limit(resources.cpu)
    if resources.memory:
        task.set_memory_request(resources.memory).set_memory_limit(resources.memory)


def _apply_kubernetes(task: dsl.PipelineTask, settings: Kubernetes) -> None:
    if isinstance(settings.secret, Secret):
        kubernetes.use_secret_as_env(task, settings.secret.name, settings.secret.env)
    elif settings.secret:
        kubernetes.use_secret_as_env(task, settings.secret, {name: name for name in CREDENTIALS})
        kubernetes.use_secret_as_env(task, settings.secret, {name: name for name in MORE_CREDENTIALS}, optional=True)
    for key, value in settings.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in settings.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump(exclude_none=True))
    for key, value in settings.labels.items():
        kubernetes.add_pod_label(task, key, value)
    if settings.timeout_seconds:
        kubernetes.set_timeout(task, settings.timeout_seconds)


def resources_of(section: WorkerSection | ServerSection) -> Resources:
    return _read(Resources, section.resources, f"The 'resources' of {_called(section)}")


def kubernetes_of(section: WorkerSection | ServerSection) -> Kubernetes:
    if isinstance(section, ServerSection) and "image" in section.kubernetes:
        raise InputError("The 'kubernetes' settings of the server have an image, but some of its tasks need Paddle; name it as federation.images.server.")
    return _read(Kubernetes, section.kubernetes, f"The 'kubernetes' settings of {_called(section)}")


def _called(section: WorkerSection | ServerSection) -> str:
    return f"worker '{section.name}'" if isinstance(section, WorkerSection) else "the server"


def _read(kind: type[Section], content: Mapping[str, Any], what: str) -> Section:
    try:
        return kind(**content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise InputError(f"{what} have no key '{where}'; {did_you_mean(where, kind.model_fields)}") from error
        raise InputError(f"{what} have {where} {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}.") from error
