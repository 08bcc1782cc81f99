"""Cluster policy: what every task gets, what one worker's section adds to its own tasks, and what is refused when it is compiled."""

from typing import Any

import pytest
import yaml

from components import SERVER_IMAGE, WORKER_IMAGE
from fl_core.errors import InputError
from fl_core.job import Job, parse_job
from pipelines.cluster import CREDENTIALS, MORE_CREDENTIALS, image_of
from pipelines.unrolled import compile_text
from tests.pipelines.golden import HELD_OUT, HOSPITALS, JOBS

SERVER_SIDE = {"Round 1: select", "Round 1: aggregate", "Publish the model", "Report"}


# What the compiler of Kubeflow Pipelines 2.17 adds to every task's container by itself, read in its source; a pipeline cannot say it.
BACKEND = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.fixture(scope="module")
def tasks() -> dict[str, dict[str, Any]]:
    """The tasks of the hospitals."""
    return compiled(JOBS["hospitals"])


def compiled(job: Job) -> dict[str, dict[str, Any]]:
    """Every task of a job by the name that the UI shows: its container, its settings in the cluster, its retries."""
    pipeline, cluster = yaml.safe_load_all(compile_text(job))
    executors, settings = pipeline["deploymentSpec"]["executors"], cluster["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found = {}
    for task in pipeline["root"]["dag"]["tasks"].values():
        label = pipeline["components"][task["componentRef"]["name"]]["executorLabel"]
        found[task["taskInfo"]["name"]] = {**executors[label]["container"], "cluster": settings[label], "retry": task["retryPolicy"]}
    return found


def test_every_task_can_write_to_tmp_and_runs_as_a_numbered_user(tasks: dict[str, dict[str, Any]]) -> None:
    for task in tasks.values():
        assert [mount["mountPath"] for mount in task["cluster"]["emptyDirMounts"]] == ["/tmp"]
        assert int(task["cluster"]["securityContext"]["runAsUser"]) > 0
        assert task["cluster"]["securityContext"]["runAsNonRoot"] is True


def unrestricted(context: dict[str, Any]) -> list[str]:
    """What the Pod Security Standard `restricted` has against a container's security context."""
    return [
        *(["allowPrivilegeEscalation"] if context.get("allowPrivilegeEscalation") is not False else []),
        *(["capabilities"] if context.get("capabilities") != {"drop": ["ALL"]} else []),
        *(["runAsNonRoot"] if context.get("runAsNonRoot") is not True else []),
        *(["runAsUser"] if int(context.get("runAsUser", 1)) == 0 else []),
        *(["seccompProfile"] if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost") else []),
    ]


def test_with_what_the_backend_adds_every_task_is_restricted_and_without_our_part_none_is() -> None:
    assert unrestricted(BACKEND) == ["runAsNonRoot"]
    for job in JOBS.values():
        for task in compiled(job).values():
            assert unrestricted({**BACKEND, **task["cluster"]["securityContext"]}) == []


def test_tasks_mount_nothing_but_empty_folders() -> None:
    for job in JOBS.values():
        for task in compiled(job).values():
            assert not {"pvcMount", "secretAsVolume", "configMapAsVolume", "genericEphemeralVolume"} & set(task["cluster"])


def test_every_task_is_tried_again_as_often_as_the_job_says(tasks: dict[str, dict[str, Any]]) -> None:
    assert {task["retry"]["maxRetryCount"] for task in tasks.values()} == {JOBS["hospitals"].retries}
    assert {task["retry"]["backoffFactor"] for task in tasks.values()} == {2.0}


@pytest.mark.parametrize("name", ["Prepare data at hospital-a", "Round 2: train at hospital-a", "Round 1: evaluate at hospital-a"])
def test_a_workers_settings_reach_all_its_tasks(name: str, tasks: dict[str, dict[str, Any]]) -> None:
    task, cluster = tasks[name], tasks[name]["cluster"]
    assert (task["resources"]["resourceCpuLimit"], task["resources"]["resourceMemoryRequest"]) == ("2", "4Gi")
    assert cluster["nodeSelector"]["labels"] == {"site": "a"}
    assert cluster["tolerations"] == [{"key": "federation", "operator": "Exists", "effect": "NoSchedule"}]
    assert cluster["podMetadata"]["labels"] == {"organisation": "hospital-a"}
    assert cluster["activeDeadlineSeconds"] == "3600"
    assert {secret["secretName"] for secret in cluster["secretAsEnv"]} == {"hospital-a-store"}


def test_a_secret_by_name_gives_the_credentials_and_what_else_it_has(tasks: dict[str, dict[str, Any]]) -> None:
    needed, more = tasks["Round 1: train at hospital-a"]["cluster"]["secretAsEnv"]
    assert [pair["envVar"] for pair in needed["keyToEnv"]] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    assert (needed["optional"], more["optional"]) == (False, True)


def test_one_workers_settings_reach_nobody_else(tasks: dict[str, dict[str, Any]]) -> None:
    other = tasks["Round 1: train at hospital-b"]
    assert "nodeSelector" not in other["cluster"]
    assert other["cluster"]["secretAsEnv"][0]["keyToEnv"] == [
        {"secretKey": "id", "envVar": "AWS_ACCESS_KEY_ID"},
        {"secretKey": "key", "envVar": "AWS_SECRET_ACCESS_KEY"},
    ]
    for name in SERVER_SIDE:
        assert set(tasks[name]["cluster"]) == {"emptyDirMounts", "securityContext", "secretAsEnv"}


def test_a_task_without_a_secret_of_its_own_takes_the_namespaces_where_there_is_one(tasks: dict[str, dict[str, Any]]) -> None:
    for name in SERVER_SIDE:
        (secret,) = tasks[name]["cluster"]["secretAsEnv"]
        assert (secret["secretName"], secret["optional"]) == ("paddlefl-store", True)
        assert {pair["envVar"] for pair in secret["keyToEnv"]} == {*CREDENTIALS, *MORE_CREDENTIALS}
    assert "FL_PRIVATE" in MORE_CREDENTIALS


def test_the_server_side_runs_without_paddle_and_a_worker_in_its_own_image(tasks: dict[str, dict[str, Any]]) -> None:
    assert {tasks[name]["image"] for name in SERVER_SIDE} == {SERVER_IMAGE}
    assert tasks["Generate the job"]["image"] == tasks["Round 1: train at hospital-a"]["image"] == WORKER_IMAGE
    assert tasks["Round 1: train at hospital-b"]["image"] == "registry.example/worker:1.0"


def test_the_servers_settings_reach_the_tasks_that_are_no_workers_and_no_other() -> None:
    tasks = compiled(JOBS["held_out"])
    for name in {*SERVER_SIDE, "Generate the job"}:
        task, cluster = tasks[name], tasks[name]["cluster"]
        assert (task["resources"]["resourceCpuLimit"], task["resources"]["resourceMemoryRequest"]) == ("500m", "1Gi")
        assert cluster["nodeSelector"]["labels"] == {"role": "lead"}
        assert cluster["tolerations"] == [{"key": "federation", "operator": "Exists", "effect": "NoSchedule"}]
        assert cluster["podMetadata"]["labels"] == {"organisation": "lead"}
        assert cluster["activeDeadlineSeconds"] == "1800"
        assert {secret["secretName"] for secret in cluster["secretAsEnv"]} == {"lead-store"}
    other = tasks["Round 1: train at worker-0"]
    assert "resources" not in other
    assert set(other["cluster"]) == {"emptyDirMounts", "securityContext", "secretAsEnv"}
    assert {secret["secretName"] for secret in other["cluster"]["secretAsEnv"]} == {"paddlefl-store"}


def test_images_come_from_the_jobs_registry_unless_they_are_named() -> None:
    tasks = compiled(JOBS["held_out"])
    assert {tasks[name]["image"] for name in SERVER_SIDE} == {f"registry.example/team/{SERVER_IMAGE}"}
    assert tasks["Generate the job"]["image"] == tasks["Round 1: train at worker-1"]["image"] == "registry.example/own/trainer:2.1"


def test_an_image_of_the_workers_own_goes_before_the_jobs() -> None:
    job = parse_job(HOSPITALS, ["federation.images={registry: registry.example, server: lead:1}"])
    assert image_of(job, WORKER_IMAGE, "hospital-a") == f"registry.example/{WORKER_IMAGE}"
    assert image_of(job, WORKER_IMAGE, "hospital-b") == "registry.example/worker:1.0"
    assert image_of(job, SERVER_IMAGE) == "lead:1"


@pytest.mark.parametrize("image", ["trainer", "trainer:latest", "registry.example:5000/trainer"])
def test_an_image_without_a_version_is_refused(image: str) -> None:
    with pytest.raises(InputError, match=f"runs the image '{image}', which may be another one tomorrow; name a version or a digest"):
        compile_text(parse_job(HELD_OUT, [f"federation.images.worker={image}"]))


def test_a_registry_is_no_address_of_the_web() -> None:
    with pytest.raises(InputError, match=r"federation.images.registry is 'https://registry.example/team'; it is a registry without https://, such as"):
        parse_job(HELD_OUT, ["federation.images.registry=https://registry.example/team"])


@pytest.mark.parametrize("image", ["a b", "https://x/y", "x/y:1:2", "x@sha256:12", "/x"])
def test_what_is_no_images_name_is_refused(image: str) -> None:
    with pytest.raises(InputError, match=r"federation.images.server is '.*'; it is an image's name, such as registry.example/server:1.0"):
        parse_job(HELD_OUT, [f"federation.images.server='{image}'"])


@pytest.mark.parametrize("image", ["x:1", "localhost:5000/x/y:1.0-rc_1", f"registry.example/x:1@sha256:{'0' * 64}", f"x@sha256:{'a' * 64}"])
def test_an_image_is_named_as_docker_does(image: str) -> None:
    assert image_of(parse_job(HELD_OUT, [f"federation.images.server='{image}'"]), SERVER_IMAGE) == image


def test_the_servers_image_is_named_among_the_images() -> None:
    with pytest.raises(InputError, match=r"settings of the server have an image, .*; name it as federation.images.server"):
        compile_text(parse_job(HELD_OUT, ["federation.server.kubernetes={image: lead:1}"]))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("resources: {cpus: 2}", "The 'resources' of worker 'w' have no key 'cpus'; did you mean 'cpu'?"),
        ("resources: {cpu: two}", "The 'resources' of worker 'w' have cpu 'two'; "),
        ("resources: {memory: 4 GB}", "The 'resources' of worker 'w' have memory '4 GB'; "),
        ("kubernetes: {secrets: a}", "The 'kubernetes' settings of worker 'w' have no key 'secrets'; did you mean 'secret'?"),
        ("kubernetes: {timeout_seconds: 0}", "The 'kubernetes' settings of worker 'w' have timeout_seconds 0; "),
        ("kubernetes: {tolerations: [{operator: Maybe}]}", "The 'kubernetes' settings of worker 'w' have tolerations.0.operator 'Maybe'; "),
        ("kubernetes: {secret: {name: a}}", "The 'kubernetes' settings of worker 'w' have secret."),
    ],
)
def test_wrong_settings_are_refused_when_the_job_is_compiled(settings: str, sentence: str) -> None:
    job = parse_job(HELD_OUT, [f"federation={{workers: [{{name: w, {settings}}}]}}"])
    with pytest.raises(InputError) as refused:
        compile_text(job)
    assert str(refused.value).startswith(sentence)
    assert str(refused.value).endswith((".", "?"))
