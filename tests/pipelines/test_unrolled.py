"""The layout `unrolled`: the golden files, and what must be true of them whatever they look like."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fl_core.errors import InputError
from fl_core.job import parse_bundle, parse_job
from pipelines.lint import lint, read_pipeline, status_bytes
from pipelines.unrolled import ROUNDS_MAX, TRAININGS_MAX, build, compile_job, compile_text
from tests.pipelines.golden import FOLDER, HELD_OUT, HOSPITALS, JOBS, normalised

TWO_TRIPS = """
from dataclasses import replace
from fl_core.strategy import Exchange
from fl_core.strategies.fed_avg import fed_avg

def two_trips():
    base = fed_avg()
    return replace(base, exchanges=(replace(base.exchanges[0], name="ask"), replace(base.exchanges[0], name="answer")))
"""


@pytest.fixture(scope="module")
def compiled() -> dict[str, list[dict[str, Any]]]:
    """Every golden job, compiled now: the pipeline and what Kubernetes is told."""
    return {name: list(yaml.safe_load_all(compile_text(job))) for name, job in JOBS.items()}


def tasks_of(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The tasks by the name that the UI shows."""
    return {task["taskInfo"]["name"]: {**task, "id": name} for name, task in spec["root"]["dag"]["tasks"].items()}


def before(spec: Mapping[str, Any], shown: str) -> set[str]:
    """The names of the tasks that a task waits for."""
    names = {name: task["taskInfo"]["name"] for name, task in spec["root"]["dag"]["tasks"].items()}
    return {names[name] for name in tasks_of(spec)[shown]["dependentTasks"]} - {"Generate the job"}


@pytest.mark.parametrize("name", JOBS)
def test_the_golden_file_is_what_is_compiled_now(name: str) -> None:
    assert normalised(compile_text(JOBS[name])) == (FOLDER / f"{name}.yaml").read_text(), "if this is meant: python -m tests.pipelines.golden"


def test_each_round_has_one_task_per_stage_and_worker(compiled: dict[str, list[dict[str, Any]]]) -> None:
    assert set(tasks_of(compiled["hospitals"][0])) == {
        "Generate the job", "Prepare data at hospital-a", "Prepare data at hospital-b", "Evaluate the first model at hospital-a",
        "Round 1: select", "Round 1: train at hospital-a", "Round 1: train at hospital-b", "Round 1: aggregate", "Round 1: evaluate at hospital-a",
        "Round 2: select", "Round 2: train at hospital-a", "Round 2: train at hospital-b", "Round 2: aggregate", "Round 2: evaluate at hospital-a",
        "Publish the model", "Report",
    }  # fmt: skip


def test_every_worker_evaluates_what_it_held_out_when_the_job_asks(compiled: dict[str, list[dict[str, Any]]]) -> None:
    found = {name for name in tasks_of(compiled["held_out"][0]) if "valuate" in name}
    workers = ("worker-0", "worker-1")
    assert found == {f"Evaluate the first model at {worker}" for worker in workers} | {f"Round 2: evaluate at {worker}" for worker in workers}


def test_who_depends_on_whom(compiled: dict[str, list[dict[str, Any]]]) -> None:
    spec = compiled["hospitals"][0]
    trained = {"Round 2: train at hospital-a", "Round 2: train at hospital-b"}
    assert before(spec, "Round 1: select") == {"Evaluate the first model at hospital-a"}
    assert all(before(spec, name) == {"Round 2: select"} for name in trained)
    assert before(spec, "Round 2: aggregate") == trained
    assert before(spec, "Round 2: select") == {"Round 1: evaluate at hospital-a"}
    assert before(spec, "Publish the model") == {"Round 2: evaluate at hospital-a"}


def test_the_server_takes_the_workers_digests_as_plain_strings(compiled: dict[str, list[dict[str, Any]]]) -> None:
    inputs = tasks_of(compiled["hospitals"][0])["Round 1: aggregate"]["inputs"]["parameters"]
    producers = {source["taskOutputParameter"]["producerTask"] for name, source in inputs.items() if name.startswith("pipelinechannel--train")}
    assert producers == {"train-worker", "train-worker-2"}
    assert len(inputs["replies"]["runtimeValue"]["constant"]) == 2


@pytest.mark.parametrize("name", JOBS)
def test_caching_is_off_and_lint_finds_nothing(name: str, compiled: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    assert not [task for task in tasks_of(compiled[name][0]).values() if task["cachingOptions"]]
    compile_job(JOBS[name], tmp_path / "pipeline.yaml")
    assert lint(tmp_path / "pipeline.yaml") == []


def test_the_job_travels_in_one_parameter_to_one_task(compiled: dict[str, list[dict[str, Any]]]) -> None:
    spec = compiled["hospitals"][0]
    takers = [name for name, task in tasks_of(spec).items() if {"componentInputParameter": "job"} in task["inputs"]["parameters"].values()]
    assert takers == ["Generate the job"]
    assert json.dumps(spec).count("learning_rate") == 1
    assert parse_bundle(spec["root"]["inputDefinitions"]["parameters"]["job"]["defaultValue"]).digest == JOBS["hospitals"].digest


def test_the_form_has_the_parameters_that_are_promised(compiled: dict[str, list[dict[str, Any]]]) -> None:
    spec = compiled["hospitals"][0]
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {"store", "run", "job", "overrides", "start_from", "seed"}
    assert not [name for name, parameter in parameters.items() if "\n" in parameter["defaultValue"]]
    assert "at most 2 rounds" in spec["pipelineInfo"]["description"]
    assert "hospital-a, hospital-b" in spec["pipelineInfo"]["description"]


def test_a_default_store_is_compiled_in() -> None:
    spec = yaml.safe_load(compile_text(JOBS["held_out"], store="s3://bucket/federation").split("\n---")[0])
    assert spec["root"]["inputDefinitions"]["parameters"]["store"]["defaultValue"] == "s3://bucket/federation"


def test_a_strategy_of_two_trips_trains_twice_a_round() -> None:
    job = parse_job(HELD_OUT, ["strategy={name: 'trips.py:two_trips'}", "rounds=1"], code={"trips.py": TWO_TRIPS})
    spec = yaml.safe_load(compile_text(job).split("\n---")[0])
    assert before(spec, "Round 1: aggregate ask") == {"Round 1: ask at worker-0", "Round 1: ask at worker-1"}
    assert before(spec, "Round 1: answer at worker-1") == {"Round 1: aggregate ask"}
    exchanges = {
        name: task["inputs"]["parameters"]["exchange"]["runtimeValue"]["constant"]
        for name, task in tasks_of(spec).items()
        if " at worker-0" in name and "1:" in name and "valuate" not in name
    }
    assert exchanges == {"Round 1: ask at worker-0": 0, "Round 1: answer at worker-0": 1}


def test_a_later_pipeline_goes_on_and_only_the_last_finishes() -> None:
    job = parse_job(HELD_OUT, ["rounds=5", "evaluate.every_rounds=1"])
    middle, last = (tasks_of(_spec(build(job, first_round=first, rounds=2))) for first in (3, 4))
    assert "Prepare data at worker-0" not in middle
    assert {name for name in middle if name.startswith("Round")} >= {"Round 3: select", "Round 4: select"}
    assert "Publish the model" not in middle
    assert "Publish the model" in last


def test_what_is_left_after_the_last_round_evaluates_and_finishes() -> None:
    job = parse_job(HELD_OUT, ["rounds=5"])
    assert set(tasks_of(_spec(build(job, first_round=6, rounds=0)))) == {
        "Generate the job", "Round 5: evaluate at worker-0", "Round 5: evaluate at worker-1", "Publish the model", "Report",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rounds=11", "rounds is 11 with 2 workers; {limit}: set rounds to 10 or fewer, or"),
        ("federation.workers=51", "rounds is 2 with 51 workers; {limit}: set rounds to 1 or fewer, or"),
        ("federation.workers=101", "rounds is 2 with 101 workers; {limit}: let at most 100 workers share the clients, or"),
    ],
)
def test_a_job_too_large_for_the_layout_is_refused(override: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        compile_job(parse_job(HELD_OUT, [override]), tmp_path / "pipeline.yaml")
    limit = "a pipeline of the layout 'unrolled' has at most 10 rounds and 100 trainings (rounds x workers)"
    assert str(refused.value).startswith(sentence.format(limit=limit))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("rounds", "workers"), [(ROUNDS_MAX, TRAININGS_MAX // ROUNDS_MAX), (2, TRAININGS_MAX // 2)])
def test_the_largest_jobs_that_the_layout_takes_pass_lint(rounds: int, workers: int, tmp_path: Path) -> None:
    job = parse_job(HELD_OUT, [f"rounds={rounds}", f"federation.workers={workers}", "evaluate.on=test"])
    compile_job(job, tmp_path / "pipeline.yaml")
    assert 200_000 < status_bytes(read_pipeline(tmp_path / "pipeline.yaml")) < 1 << 20


def test_a_job_with_too_much_code_is_refused() -> None:
    job = parse_job(HELD_OUT, ["program='long.py:program'"], code={"long.py": "#" * 60_000, "more.py": "#" * 60_000})
    with pytest.raises(InputError, match=r"The job and its code have 12\d{4} bytes; a pipeline's parameter carries at most 100000"):
        compile_text(job)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        compile_job(JOBS["held_out"], tmp_path / "nowhere" / "pipeline.yaml")


def test_a_name_that_kubeflow_does_not_take_is_mended() -> None:
    spec = _spec(build(parse_job(HOSPITALS, ["name=My_Job.2"])))
    assert spec["pipelineInfo"]["name"] == "my-job-2"


def _spec(pipeline: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(pipeline.pipeline_spec)
