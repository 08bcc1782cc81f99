"""The layout `live`: the golden file, what must be true of it, and its tasks run as they are compiled."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from fl_core import run
from fl_core.compiled import check_fixed, fixed_for_roles
from fl_core.errors import InputError
from fl_core.job import parse_bundle, parse_job
from fl_core.pool import Pool
from fl_core.role import run_name
from fl_core.run_folder import close_key
from fl_core.runner import open_run
from fl_core.verify import verify
from pipelines import live
from pipelines.cli import main
from pipelines.layouts import choose, compile_job
from pipelines.lint import lint
from pipelines.unrolled import compile_text
from tests.jobs import tiny_job
from tests.pipelines.golden import FOLDER, HELD_OUT, JOBS, TEXTS, normalised
from tests.pipelines.launcher import CompiledTask, tasks_of

ROLE_SECONDS = 120
TOO_MANY = "are more than 10 rounds or 100 trainings (rounds x workers), so that each role is one long task."


@pytest.fixture(scope="module")
def compiled() -> list[dict[str, Any]]:
    """The hospitals' pipeline, and what Kubernetes is told."""
    return list(yaml.safe_load_all(TEXTS["live"]()))


def test_the_golden_file_is_what_is_compiled_now() -> None:
    assert normalised(TEXTS["live"]()) == (FOLDER / "live.yaml").read_text(), "if this is meant: make golden"


def test_each_role_is_one_task_and_none_waits_for_another(compiled: list[dict[str, Any]]) -> None:
    tasks = compiled[0]["root"]["dag"]["tasks"].values()
    assert [task["taskInfo"]["name"] for task in tasks] == ["Serve the federation", "Work at hospital-a", "Work at hospital-b"]
    assert not [task for task in tasks if task.get("dependentTasks")]
    assert not [task for task in tasks if task["cachingOptions"]]


def test_the_job_travels_to_the_server_alone_and_its_programs_hash_to_the_workers(compiled: list[dict[str, Any]]) -> None:
    spec, job = compiled[0], JOBS["hospitals"]
    assert parse_bundle(spec["root"]["inputDefinitions"]["parameters"]["job"]["defaultValue"]).digest == job.digest
    tasks = {task["taskInfo"]["name"]: task["inputs"]["parameters"] for task in spec["root"]["dag"]["tasks"].values()}
    assert [name for name, inputs in tasks.items() if "job" in inputs] == ["Serve the federation"]
    pinned = {name: inputs["program_sha256"]["runtimeValue"]["constant"] for name, inputs in tasks.items() if "program_sha256" in inputs}
    assert pinned == {"Work at hospital-a": job.program_sha256, "Work at hospital-b": job.program_sha256}


def test_a_worker_gets_what_its_section_asks_for_and_the_server_none_of_it(compiled: list[dict[str, Any]]) -> None:
    settings = compiled[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    serve, a, b = (settings[f"exec-{name}"] for name in ("serve-federation", "work-federation", "work-federation-2"))
    assert (a["nodeSelector"]["labels"], a["podMetadata"]["labels"], a["activeDeadlineSeconds"]) == ({"site": "a"}, {"organisation": "hospital-a"}, "3600")
    assert {secret["secretName"] for secret in a["secretAsEnv"]} == {"hospital-a-store"}
    assert {secret["secretName"] for secret in b["secretAsEnv"]} == {"hospital-b-store"}
    assert {secret["secretName"] for secret in serve["secretAsEnv"]} == {"paddlefl-store"}
    assert not {"nodeSelector", "tolerations", "podMetadata", "activeDeadlineSeconds"} & {*serve, *b}
    containers = compiled[0]["deploymentSpec"]["executors"]
    assert containers["exec-work-federation-2"]["container"]["image"] == "registry.example/worker:1.0"
    assert containers["exec-work-federation"]["container"]["resources"]["resourceCpuLimit"] == "2"


def test_every_task_can_write_to_tmp_and_runs_as_a_numbered_user(compiled: list[dict[str, Any]]) -> None:
    settings = compiled[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert len(settings) == 3
    for one in settings.values():
        assert [mount["mountPath"] for mount in one["emptyDirMounts"]] == ["/tmp"]
        assert one["securityContext"] == {"runAsUser": "1000", "runAsGroup": "1000", "runAsNonRoot": True}


def test_lint_finds_nothing_in_either_layout(tmp_path: Path) -> None:
    for layout in ("live", "unrolled"):
        compile_job(JOBS["hospitals"], tmp_path / "pipeline.yaml", layout=layout)
        assert lint(tmp_path / "pipeline.yaml") == []


@pytest.mark.parametrize(
    ("overrides", "wanted", "layout", "why"),
    [
        (["rounds=10"], None, "unrolled", "layout unrolled: 10 rounds with 2 workers fit one task per stage and round, each seen in the UI."),
        (["rounds=11"], None, "live", f"layout live: 11 rounds with 2 workers {TOO_MANY}"),
        (["federation.workers=51"], None, "live", f"layout live: 2 rounds with 51 workers {TOO_MANY}"),
        (["rounds=2"], "live", "live", "layout live: it was asked for."),
    ],
)  # fmt: skip
def test_the_layout_is_chosen_by_rounds_and_workers_and_says_why(overrides: list[str], wanted: str | None, layout: str, why: str) -> None:
    assert choose(parse_job(HELD_OUT, overrides), wanted) == (layout, why)


def test_rounds_that_close_by_who_arrives_first_are_for_long_roles_alone(tmp_path: Path) -> None:
    job = parse_job(HELD_OUT, ["strategy={name: fed_buff, arrivals: measured}"])
    assert choose(job) == ("live", "layout live: its rounds close by who arrives first, which takes roles that run side by side.")
    with pytest.raises(InputError, match=r"run it by `fl serve` and `fl work` or in the layout live, or simulate the arrivals"):
        compile_job(job, tmp_path / "pipeline.yaml", layout="unrolled")
    assert not (tmp_path / "pipeline.yaml").exists()


def test_compile_prints_the_file_and_says_why_on_the_other_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.yaml").write_text(HELD_OUT)
    words = ["compile", str(tmp_path / "job.yaml"), "-o", str(tmp_path / "p.yaml"), "--set", "rounds=11"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/p.yaml\n"
    assert said.err == f"layout live: 11 rounds with 2 workers {TOO_MANY}\n"
    assert main([*words, "--layout", "unrolled"]) == 2
    assert capsys.readouterr().err.endswith("or compile it to the layout 'live', one long task per role.\n")


def test_what_a_user_fills_in_must_fit_the_compiled_roles() -> None:
    fixed = json.dumps(fixed_for_roles(parse_job(HELD_OUT)))
    check_fixed(parse_job(HELD_OUT, ["rounds=500", "evaluate.on=both", "strategy=fed_prox"]), fixed)
    with pytest.raises(InputError, match="this pipeline was compiled for worker-0, worker-1"):
        check_fixed(parse_job(HELD_OUT, ["federation.workers=3"]), fixed)
    with pytest.raises(InputError, match="program is 'logistic' with its code; the workers of this pipeline run only what it was compiled with"):
        check_fixed(parse_job(HELD_OUT, ["program={name: logistic, features: 64, classes: 10}"]), fixed)


def test_every_role_knows_the_run_by_the_same_name_which_is_never_too_long() -> None:
    assert run_name("mine", "digits", "0b5e") == "mine"
    assert run_name("", "a" * 63, "0b5e0000-0000-0000-0000-000000000000") == "a" * 26 + "-0b5e0000-0000-0000-0000-000000000000"


def begin(task: CompiledTask, folder: Path, nursery: str = "") -> "subprocess.Popen[str]":
    """Runs a compiled task's command as a process, as its container would."""
    environment = {**os.environ, "FL_PRIVATE": str(folder / task.name), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"FL_NURSERY": nursery} if nursery else {}
    return subprocess.Popen(task.words(str(folder / "outputs")), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def role_of(task: "subprocess.Popen[str]") -> int:
    """The process id of the role that a task supervises, as soon as it is there."""
    for _ in range(ROLE_SECONDS * 20):
        children = Path(f"/proc/{task.pid}/task/{task.pid}/children").read_text().split()
        grandchildren = [child for above in children for child in Path(f"/proc/{above}/task/{above}/children").read_text().split()]
        if grandchildren:
            return int(grandchildren[0])
        time.sleep(0.05)
    raise AssertionError(f"the task started no role within {ROLE_SECONDS} s")


def test_the_compiled_tasks_end_in_the_digest_of_one_process_though_roles_are_killed(tmp_path: Path, pool: Pool, nursery: str) -> None:
    job = tiny_job("rounds=4")
    undisturbed = run(job, out=tmp_path / "undisturbed", pool=pool)
    tasks = tasks_of(compile_text(job, lay=live.build), {"store": f"file://{tmp_path / 'store'}"}, occurrence="7")
    processes = {name: begin(task, tmp_path, nursery) for name, task in tasks.items()}
    for name in ("Serve the federation", "Work at worker-1"):
        os.kill(role_of(processes[name]), signal.SIGKILL)
    said = {name: process.communicate(timeout=ROLE_SECONDS)[0] for name, process in processes.items()}
    assert {name: process.returncode for name, process in processes.items()} == dict.fromkeys(tasks, 0), said
    assert all("The role was killed by signal 9; it is started again in 1 s" in said[name] for name in ("Serve the federation", "Work at worker-1"))
    assert "round 4 of at most 4:" in said["Serve the federation"]
    outputs = tmp_path / "outputs" / "Serve-the-federation"
    assert parameters_in(outputs) == {"Output": undisturbed.digest}
    assert (outputs / "html").read_text().startswith("<!DOCTYPE html>")
    assert open_run(tmp_path / "store" / "runs" / "tiny-7").record("summary.json")["metrics"] == undisturbed.metrics
    assert "the run 'tiny-7' ended after 4 rounds" in said["Work at worker-1"]
    assert parameters_in(tmp_path / "outputs" / "Work-at-worker-0") == {"Output": undisturbed.run.record("job/cards/worker-0.json")["fingerprint"]}


def test_compiled_roles_that_are_killed_count_each_measured_arrival_once(tmp_path: Path, pool: Pool, nursery: str) -> None:
    job = tiny_job("strategy={name: fed_buff, arrivals: measured, buffer_size: 2, clients_in_flight: 4, batch_size: 32}", "rounds=6", "keep_updates=all")
    tasks = tasks_of(compile_text(job, lay=live.build), {"store": f"file://{tmp_path / 'store'}"}, occurrence="7")
    processes = {name: begin(task, tmp_path, nursery) for name, task in tasks.items()}
    for name in ("Serve the federation", "Work at worker-1"):
        os.kill(role_of(processes[name]), signal.SIGKILL)
    said = {name: process.communicate(timeout=ROLE_SECONDS)[0] for name, process in processes.items()}
    assert {name: process.returncode for name, process in processes.items()} == dict.fromkeys(tasks, 0), said
    one = open_run(tmp_path / "store" / "runs" / "tiny-7")
    counted = [(client, base) for round in range(1, 7) for client, base in one.record(close_key(round))["bases"].items()]
    assert len(counted) == len(set(counted)) == 12
    assert verify(one.store).found == []


def parameters_in(outputs: Path) -> dict[str, Any]:
    return json.loads((outputs / "executor_output.json").read_text())["parameterValues"]


def test_a_job_with_another_program_than_the_compiled_one_ends_the_task_with_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    given = {"store": f"file://{tmp_path / 'store'}", "run": "r", "job": tiny_job().bundle()}
    tasks = tasks_of(compile_text(tiny_job("program={name: logistic, features: 64, classes: 10}"), lay=live.build), given)
    server = begin(tasks["Serve the federation"], tmp_path)
    said, _ = server.communicate(timeout=ROLE_SECONDS)
    assert server.returncode == 2
    assert re.search(
        r"program is 'fl_core.programs.digits:program' with its code; the workers of this pipeline run only what it was compiled with: compile the job again",
        said,
    )
    assert not (tmp_path / "store").exists()
