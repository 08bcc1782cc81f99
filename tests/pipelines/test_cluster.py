"""Cluster policy: what every task gets, what one worker's section adds to its own tasks, and what is refused when it is compiled."""

from typing import Any

import pytest
import yaml

from components import SERVER_IMAGE, WORKER_IMAGE
from fl_core.errors import InputError
from fl_core.job import parse_job
from pipelines.cluster import CREDENTIALS, MORE_CREDENTIALS
from pipelines.unrolled import compile_text
from tests.pipelines.golden import HELD_OUT, JOBS

SERVER_SIDE = {"Round 1: select", "Round 1: aggregate", "Publish the model", "Report"}


@pytest.fixture(scope="module")
def tasks() -> dict[str, dict[str, Any]]:
    """Every task of the hospitals by the name that the UI shows: its container, its settings in the cluster, its retries."""
    pipeline, cluster = yaml.safe_load_all(compile_text(JOBS["hospitals"]))
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
