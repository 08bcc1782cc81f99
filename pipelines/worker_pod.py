"""The Kubernetes objects of a worker outside of Kubeflow: a Job that runs `fl work`, and a ConfigMap with the job file that it reads."""

import json
import re
from dataclasses import dataclass
from typing import Any

from components import WORKER_IMAGE
from fl_core.codec import sha256
from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.section import WorkerSection
from pipelines.cluster import (
    CREDENTIALS,
    MORE_CREDENTIALS,
    SCRATCH,
    SCRATCH_PATH,
    SCRATCH_SIZE,
    STORE_SECRET,
    USER,
    Kubernetes,
    Secret,
    image_of,
    kubernetes_of,
    resources_of,
)

JOB_FOLDER, JOB_FILE = "/job", "job.yaml"
REACHES_STORE = {"reaches-store": "true"}  # the network policies of manifests/ let such pods out
SPEC = "paddlefl/spec-sha256"
CPU, MEMORY, STORAGE = "1", "2Gi", "1Gi"  # of a worker whose resources the job leaves open
PROCESSES_MAX, RESTARTS, TIMEOUT_SECONDS, KEPT_SECONDS = 100, 20, 604_800, 604_800
NAME_MAX, HASH_LETTERS = 52, 8
LABEL_MAX = 63
CONFIG_MAP_BYTES_MAX = 1_000_000

Object = dict[str, Any]


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim of the organisation's namespace, where it is mounted, and whether it can only be read."""

    claim: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class Work:
    """A worker's part in a run: where the federation meets, where the organisation keeps what is private, and how many processes take part."""

    job: Job
    section: WorkerSection
    store: str
    run: str
    private: str = ""
    processes: int = 1
    volumes: tuple[Volume, ...] = ()
    image: str = ""

    @property
    def name(self) -> str:
        """The name of the worker's objects: run and worker, cut, with a hash that keeps apart what reads the same."""
        words = re.sub(r"[^a-z0-9]+", "-", f"fl-{self.run}-{self.section.name}".lower()).strip("-")[: NAME_MAX - HASH_LETTERS - 1].rstrip("-")
        return f"{words}-{sha256(json.dumps([self.run, self.section.name]).encode())[:HASH_LETTERS]}"


def parse_volume(text: str) -> Volume:
    """The volume that `CLAIM:/PATH` or `CLAIM:/PATH:ro` says."""
    found = re.fullmatch(r"([a-z0-9][a-z0-9.-]*):(/[^:]+)(:ro)?", text)
    if not found:
        raise InputError(f"--volume is '{text}'; it is a claim and where it is mounted, such as hospital-data:/data:ro.")
    if found[2] in (SCRATCH_PATH, JOB_FOLDER):
        raise InputError(f"--volume is '{text}', but {found[2]} is taken; mount it elsewhere.")
    return Volume(found[1], found[2], bool(found[3]))


def labels(run: str, worker: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "paddlefl", "app.kubernetes.io/component": "worker", "app.kubernetes.io/part-of": "paddlefl",
        "app.kubernetes.io/managed-by": "fl", "app.kubernetes.io/instance": _label(run), "paddlefl/run": _label(run), "paddlefl/worker": _label(worker),
    }  # fmt: skip


def _label(value: str) -> str:
    """A name of ours as a label takes it: a label must end with a letter or digit."""
    return value[:LABEL_MAX].rstrip("._-")


def label_selector(run: str, worker: str) -> str:
    """What finds a worker's objects, and nobody else's."""
    return f"app.kubernetes.io/managed-by=fl,paddlefl/run={_label(run)},paddlefl/worker={_label(worker)}"


def config_map(work: Work) -> Object:
    """The job file and its code; keys of a ConfigMap have no folders, so that the pod's volume gives the files their paths."""
    data = {JOB_FILE: work.job.text, **{f"code-{i}": text for i, (_, text) in enumerate(sorted(work.job.code.items()))}}
    size = sum(len(text.encode()) for text in data.values())
    if size > CONFIG_MAP_BYTES_MAX:
        raise InputError(f"The job and its code have {size} bytes; a ConfigMap holds at most {CONFIG_MAP_BYTES_MAX}: make the code smaller.")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": work.name, "labels": labels(work.run, work.section.name)}, "data": data}


def job_object(work: Work) -> Object:
    """The Job: so many pods of the worker, which share its parts; one that fails is started again, and all end with the run."""
    if not 1 <= work.processes <= PROCESSES_MAX:
        raise InputError(f"--processes is {work.processes}; a worker has 1 to {PROCESSES_MAX} pods.")
    settings = kubernetes_of(work.section)
    template = pod_template(work, settings)
    spec = {
        "parallelism": work.processes, "backoffLimit": RESTARTS, "activeDeadlineSeconds": settings.timeout_seconds or TIMEOUT_SECONDS,
        "ttlSecondsAfterFinished": KEPT_SECONDS, "template": template,
    }  # fmt: skip
    rests_on = json.dumps([{**spec, "parallelism": None}, config_map(work)["data"]], sort_keys=True)
    named = labels(work.run, work.section.name)
    metadata = {"name": work.name, "labels": named, "annotations": {SPEC: sha256(rests_on.encode())}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def pod_template(work: Work, settings: Kubernetes) -> Object:
    """A pod that Pod Security "restricted" lets in: no root, nothing to write to but /tmp and the organisation's own volumes, no cluster credentials."""
    code = [{"key": f"code-{i}", "path": path} for i, path in enumerate(sorted(work.job.code))]
    source = {"name": work.name, "items": [{"key": JOB_FILE, "path": JOB_FILE}, *code]}
    spec: Object = {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}
        },
        "containers": [_container(work, settings)],
        "volumes": [
            {"name": SCRATCH, "emptyDir": {"sizeLimit": SCRATCH_SIZE}},
            {"name": "job", "configMap": source},
            *({"name": f"volume-{i}", "persistentVolumeClaim": {"claimName": v.claim, "readOnly": v.read_only}} for i, v in enumerate(work.volumes)),
        ],
    }  # fmt: skip
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [toleration.model_dump(exclude_none=True) for toleration in settings.tolerations]
    return {"metadata": {"labels": {**settings.labels, **REACHES_STORE, **labels(work.run, work.section.name)}}, "spec": spec}


def _container(work: Work, settings: Kubernetes) -> Object:
    resources = resources_of(work.section)
    needs = {"cpu": resources.cpu or CPU, "memory": resources.memory or MEMORY, "ephemeral-storage": STORAGE}
    private = ["--private", work.private] if work.private else []
    return {
        "name": "work",
        "image": work.image or image_of(work.job, WORKER_IMAGE, work.section.name),
        "command": ["fl", "work"],
        "args": [
            f"{JOB_FOLDER}/{JOB_FILE}", "--store", work.store, "--run", work.run, "--worker", work.section.name, "--processes", str(_cores(needs["cpu"])),
            *private,
        ],
        "workingDir": SCRATCH_PATH,
        "env": environment(settings),
        "resources": {"requests": needs, "limits": needs},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": SCRATCH, "mountPath": SCRATCH_PATH},
            {"name": "job", "mountPath": JOB_FOLDER, "readOnly": True},
            *({"name": f"volume-{i}", "mountPath": v.path, "readOnly": v.read_only} for i, v in enumerate(work.volumes)),
        ],
    }  # fmt: skip


def _cores(cpu: str) -> int:
    """How many training processes a share of processors feeds; the pod sees all of its node's."""
    return max(1, int(float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)))


def environment(settings: Kubernetes) -> list[Object]:
    """The store's credentials by reference, as pipelines take them: the worker's own secret, or the namespace's where there is one."""
    if isinstance(settings.secret, Secret):
        return [_from_secret(settings.secret.name, key, name) for key, name in settings.secret.env.items()]
    secret, known = settings.secret or STORE_SECRET, bool(settings.secret)
    needed = [_from_secret(secret, name, name, optional=not known) for name in CREDENTIALS]
    return needed + [_from_secret(secret, name, name, optional=True) for name in MORE_CREDENTIALS]


def _from_secret(secret: str, key: str, name: str, *, optional: bool = False) -> Object:
    reference = {"name": secret, "key": key, **({"optional": True} if optional else {})}
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}
