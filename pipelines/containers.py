"""Stages as containers on this machine: what each container gets (its mounts, user and limits), and one sentence where Docker cannot run it.

A container sees the run's folders, the data that the job names, and nothing else of this machine; it has no network unless the store needs one.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from components import SERVER_IMAGE, WORKER_IMAGE
from fl_core import stage
from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.publication import registry_of
from fl_core.run_folder import Run
from fl_core.store import FileStore
from pipelines.cluster import image_of

RUN_LABEL = "paddlefl.run"
SCRATCH = {"/tmp": "size=2g,mode=1777"}
PASSED_ON = ("AWS_",)


def check_docker(images: Sequence[str]) -> None:
    """InputError where the package is missing, no Docker answers, or an image was not built."""
    try:
        import docker
    except ImportError as error:
        raise InputError("The runner 'docker' needs the package 'docker'; install it with `pip install docker`, or use --runner subprocess.") from error
    try:
        with _client() as client:
            there = {tag for image in client.images.list() for tag in image.tags}
    except docker.errors.DockerException as error:
        raise InputError("No Docker answers; start it, say where it is with DOCKER_HOST, or use --runner subprocess.") from error
    for image in images:
        if image not in there:
            raise InputError(f"The image '{image}' is not on this machine; build the project's own with `make images`, or pull it.")


def container_arguments(one: Run, scratch: Path) -> dict[str, Any]:
    """What every container of a run is started with, as JSON: arguments of `docker run`, and the folders that it sees under their own paths."""
    in_folders = isinstance(one.store, FileStore)
    return {
        "folders": sorted(str(path) for path in _own_folders(one, scratch)),
        "read_only_folders": sorted({str(path) for path in _given_paths(one.job) if path.exists()}),
        "environment": _environment(one, scratch, os.environ),
        "arguments": {
            "user": f"{os.getuid()}:{os.getgid()}",
            "network_mode": "none" if in_folders else "host",
            "read_only": True,
            "tmpfs": SCRATCH,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "labels": {RUN_LABEL: one.store.uri},
        },
    }


def _own_folders(one: Run, scratch: Path) -> Iterator[Path]:
    """The folders that a stage writes to; they are made, because only what is there can be mounted."""
    stores = [one.store, one.private]
    root = registry_of(one)
    if root is not None and (one.job.publish or one.job.start_from.startswith("models:")):
        stores.append(root.at("models"))
    for store in stores:
        if isinstance(store, FileStore):
            store.root.mkdir(parents=True, exist_ok=True)
            yield store.root
    yield scratch


def _given_paths(job: Job) -> Iterator[Path]:
    """The files and folders of this machine that the job names: data, and a start."""
    for data in [job.data, *(worker.data for worker in job.workers if worker.data)]:
        yield from (Path(value) for key, value in data.options.items() if isinstance(value, str) and (key == "path" or key.endswith("_path")))
    if job.start_from and not job.start_from.startswith("models:") and "://" not in job.start_from:
        yield Path(job.start_from)


def _environment(one: Run, scratch: Path, ours: Mapping[str, str]) -> dict[str, str]:
    told = {stage.RUNNER: "docker", stage.FAILURE: str(scratch / "failure.json")}
    if isinstance(one.store, FileStore) or not isinstance(one.private, FileStore):
        return told
    told[stage.PRIVATE] = str(one.private.root.parent)
    return told | {name: value for name, value in ours.items() if name.startswith(PASSED_ON)}


def images_of(job: Job) -> list[str]:
    """Every image that the job's stages run in."""
    return sorted({image_of(job, SERVER_IMAGE), *(image_of(job, WORKER_IMAGE, worker) for worker in ("", *(section.name for section in job.workers)))})


def docker_runner(told: Mapping[str, Any]) -> Any:
    """The runner of kfp.local for what `container_arguments` says."""
    from docker.types import Mount
    from kfp.local import DockerRunner

    mounts = [Mount(folder, folder, type="bind") for folder in told["folders"]]
    mounts += [Mount(path, path, type="bind", read_only=True) for path in told["read_only_folders"]]
    return DockerRunner(mounts=mounts, environment=told["environment"], **told["arguments"])


@contextmanager
def ended_containers(uri: str) -> Iterator[None]:
    """Ends what is left of a run's containers afterwards; there is none unless the runner was stopped."""
    try:
        yield
    finally:
        with _client() as client:
            for container in client.containers.list(filters={"label": f"{RUN_LABEL}={uri}"}):
                with suppress(Exception):  # it has ended by itself
                    container.kill()


def _client() -> Any:
    import docker

    return closing(docker.from_env())
