"""Every rule of lint: a pipeline that breaks it alone, and one that keeps it."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from fl_core.errors import InputError
from pipelines import lint as rules
from pipelines.lint import RULES, Pipeline, Rule, lint, read_pipeline, status_bytes

Change = Callable[[dict[str, Any]], None]


def good() -> dict[str, Any]:
    """A compiled pipeline of two tasks, a loop among them, that breaks no rule."""
    container = {"image": "worker:1.0", "command": ["sh", "-c", "true"], "args": ["--executor_input", "{{$}}"]}
    return {
        "components": {
            "comp-list": {"executorLabel": "exec-list", "outputDefinitions": {"parameters": {"Output": {"parameterType": "LIST"}}}},
            "comp-use": {"executorLabel": "exec-use", "inputDefinitions": {"parameters": {"number": {"parameterType": "NUMBER_INTEGER"}}}},
            "comp-loop": {
                "dag": {"tasks": {"use": task("comp-use", inputs={"parameters": {"number": {"componentInputParameter": "item"}}})}},
                "inputDefinitions": {"parameters": {"items": {"parameterType": "LIST"}, "item": {"parameterType": "NUMBER_INTEGER"}}},
            },
        },
        "deploymentSpec": {"executors": {"exec-list": {"container": container}, "exec-use": {"container": {**container, "args": ["use"]}}}},
        "root": {
            "dag": {
                "tasks": {
                    "list": task("comp-list"),
                    "loop": {
                        "componentRef": {"name": "comp-loop"}, "taskInfo": {"name": "loop"}, "dependentTasks": ["list"],
                        "parameterIterator": {"itemInput": "item", "items": {"inputParameter": "items"}},
                    },
                }
            },
            "inputDefinitions": {"parameters": {"job": {"defaultValue": "{}", "parameterType": "STRING"}}},
        },
    }  # fmt: skip


def task(component: str, **more: Any) -> dict[str, Any]:
    return {"cachingOptions": {}, "componentRef": {"name": component}, "taskInfo": {"name": f"Do {component}"}, **more}


def platform() -> dict[str, Any]:
    settings = {"emptyDirMounts": [{"mountPath": "/tmp", "volumeName": "scratch"}], "securityContext": {"runAsUser": "1000", "runAsNonRoot": True}}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-list": deepcopy(settings), "exec-use": settings}}}}}


def tasks(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["root"]["dag"]["tasks"]  # type: ignore[no-any-return]


def container(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["deploymentSpec"]["executors"]["exec-use"]["container"]  # type: ignore[no-any-return]


def _cache(spec: dict[str, Any]) -> None:
    tasks(spec)["list"]["cachingOptions"] = {"enableCache": True}


def _cache_in_loop(spec: dict[str, Any]) -> None:
    spec["components"]["comp-loop"]["dag"]["tasks"]["use"]["cachingOptions"] = {"enableCache": True}


def _untyped_items(spec: dict[str, Any]) -> None:
    spec["components"]["comp-loop"]["inputDefinitions"]["parameters"]["item"]["parameterType"] = "STRING"


def _artifact_loop(spec: dict[str, Any]) -> None:
    tasks(spec)["loop"]["artifactIterator"] = {"itemInput": "model"}


def _long_argument(spec: dict[str, Any]) -> None:
    container(spec)["args"].append("x" * 131_073)


def _long_default(spec: dict[str, Any]) -> None:
    spec["root"]["inputDefinitions"]["parameters"]["job"]["defaultValue"] = "x" * 131_073


def _long_constant(spec: dict[str, Any]) -> None:
    tasks(spec)["list"]["inputs"] = {"parameters": {"text": {"runtimeValue": {"constant": "x" * 131_073}}}}


def _many_lines(spec: dict[str, Any]) -> None:
    spec["root"]["inputDefinitions"]["parameters"]["job"]["defaultValue"] = "a: 1\nb: 2"


def _large_status(spec: dict[str, Any]) -> None:
    tasks(spec).update({f"task-{i}": task("comp-list") for i in range(1500)})


def _large_definition(spec: dict[str, Any]) -> None:
    spec["components"]["comp-use"]["note"] = "x" * 1_048_577


def _deep(spec: dict[str, Any]) -> None:
    tasks(spec)["step-0"] = task("comp-list", dependentTasks=["loop"])
    tasks(spec).update({f"step-{i}": task("comp-list", dependentTasks=[f"step-{i - 1}"]) for i in range(1, 99)})


def _one_of(spec: dict[str, Any]) -> None:
    selectors = [{"outputArtifactKey": "m", "producerSubtask": name} for name in ("if", "else")]
    spec["components"]["comp-loop"]["dag"]["outputs"] = {"artifacts": {"model": {"artifactSelectors": selectors}}}


def _importer_in_loop(spec: dict[str, Any]) -> None:
    spec["components"]["comp-importer"] = {"executorLabel": "exec-importer"}
    spec["deploymentSpec"]["executors"]["exec-importer"] = {"importer": {}}
    spec["components"]["comp-loop"]["dag"]["tasks"]["importer"] = task("comp-importer")


def _exit_handler(spec: dict[str, Any]) -> None:
    spec["components"]["comp-exit"] = {"dag": {"tasks": {"loop": tasks(spec).pop("loop")}}}
    tasks(spec)["guarded"] = {"componentRef": {"name": "comp-exit"}, "taskInfo": {"name": "guarded"}}
    tasks(spec)["bye"] = task("comp-list", dependentTasks=["guarded"], triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"})


def _equal_containers(spec: dict[str, Any]) -> None:
    container(spec)["args"] = ["--executor_input", "{{$}}"]


def _dots(spec: dict[str, Any]) -> None:
    tasks(spec)["hospital.a"] = task("comp-list")


def _backoff(spec: dict[str, Any]) -> None:
    tasks(spec)["list"]["retryPolicy"] = {"maxRetryCount": 2, "backoffFactor": 1.5}


BROKEN: dict[str, tuple[Rule, Change, str]] = {
    "cached": (rules.caching_is_off, _cache, "'Do comp-list' is cached; a stage does its work in the store and must be called: switch its caching off."),
    "cached in a loop": (
        rules.caching_is_off,
        _cache_in_loop,
        "'Do comp-use' is cached and stands in a loop, whose iterations would share one entry; a stage does its work",
    ),
    "no image": (rules.images_are_named, lambda spec: container(spec).pop("image"), "'exec-use' names no image; give its component a base_image."),
    "image without a tag": (
        rules.images_are_pinned,
        lambda spec: container(spec).update(image="host:5000/worker"),
        "'exec-use' runs the image 'host:5000/worker', which may be another",
    ),
    "latest image": (
        rules.images_are_pinned,
        lambda spec: container(spec).update(image="worker:latest"),
        "'exec-use' runs the image 'worker:latest', which may be another one tomorrow",
    ),
    "untyped list": (
        rules.loop_items_have_their_type,
        _untyped_items,
        "'loop' loops over items of type STRING, but 'Do comp-use' takes 'number' as NUMBER_INTEGER; type",
    ),
    "artifact loop": (rules.lists_feed_no_artifacts, _artifact_loop, "'loop' loops over artifacts, which no backend does; loop over their names."),
    "long argument": (
        rules.arguments_are_short,
        _long_argument,
        "'exec-use' has an argument of 131073 bytes, and one argument carries at most 131072: put it into the store",
    ),
    "long default": (rules.arguments_are_short, _long_default, "The parameter 'job' has a default of 131075 bytes, and one argument carries at most 131072"),
    "long constant": (rules.arguments_are_short, _long_constant, "'Do comp-list' gets 'text' of 131"),
    "default of several lines": (
        rules.defaults_are_one_line,
        _many_lines,
        "The parameter 'job' has a default of several lines, which breaks the comment at the file's head",
    ),
    "large status": (rules.status_is_small, _large_status, "The run's status would have about 1"),
    "large definition": (rules.definition_is_small, _large_definition, "The definition has 1"),
    "deep sequence": (rules.sequence_is_short, _deep, "In 'root' 101 tasks wait for one another, each for two pods to be scheduled; at most 100 are sensible"),
    "one of several artifacts": (
        rules.one_of_gives_parameters,
        _one_of,
        "'comp-loop' gives one of several artifacts as 'model', perhaps a wrong one or none; choose",
    ),
    "importer in a loop": (
        rules.importers_stand_outside_loops,
        _importer_in_loop,
        "'Do comp-importer' imports inside a loop, which takes the first item's URI for all",
    ),
    "loop under an exit handler": (
        rules.exit_handlers_hold_no_loops,
        _exit_handler,
        "'loop' loops under the exit handler 'Do comp-list', which then never starts; unroll",
    ),
    "equal containers": (
        rules.equal_containers_have_equal_ports,
        _equal_containers,
        "'comp-list' and 'comp-use' run the same container with different ports, and",
    ),
    "dot in a name": (rules.names_have_no_dots, _dots, "'hospital.a' has a dot in it, at which the backend cuts paths; use '-' or '_'."),
    "broken backoff": (
        rules.backoff_is_whole,
        _backoff,
        "'Do comp-list' waits 1.5 times longer before each retry, and the engine reads whole numbers only; write 2.",
    ),
}

BROKEN_PLATFORM: dict[str, tuple[Rule, Change, str]] = {
    "no scratch": (
        rules.tasks_can_write_to_tmp,
        lambda settings: settings.pop("emptyDirMounts"),
        "'exec-use' has nothing to write on at /tmp, where every task begins",
    ),
    "no user": (
        rules.users_have_numbers,
        lambda settings: settings["securityContext"].pop("runAsUser"),
        "'exec-use' does not say by number which user it runs as",
    ),
    "perhaps root": (
        rules.nobody_is_root,
        lambda settings: settings["securityContext"].pop("runAsNonRoot"),
        "'exec-use' does not say that it never runs as root, and a namespace of Pod Security 'restricted' refuses it",
    ),
    "no settings at all": (rules.users_have_numbers, lambda settings: settings.clear(), "'exec-use' does not say by number which user it runs as"),
}


def test_a_good_pipeline_passes_every_rule() -> None:
    assert lint(good()) == []
    assert [sentence for rule in RULES for sentence in rule(Pipeline(good(), platform()["platforms"]["kubernetes"]))] == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_rule_is_told_by_that_rule(name: str) -> None:
    rule, change, sentence = BROKEN[name]
    spec = good()
    change(spec)
    (told,) = rule(Pipeline(spec))
    assert told.startswith(sentence)
    assert told in lint(spec)


@pytest.mark.parametrize("name", BROKEN_PLATFORM)
def test_what_breaks_cluster_policy_is_told(name: str, tmp_path: Path) -> None:
    rule, change, sentence = BROKEN_PLATFORM[name]
    cluster = platform()
    change(cluster["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-use"])
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump_all([good(), cluster]))
    (told,) = rule(read_pipeline(path))
    assert told.startswith(sentence)
    assert told in lint(path)


def test_every_rule_has_a_pipeline_that_breaks_it() -> None:
    assert {rule for rule, _, _ in [*BROKEN.values(), *BROKEN_PLATFORM.values()]} == set(RULES)


def test_a_typed_loop_whose_item_a_deeper_task_takes_is_seen_through_groups() -> None:
    spec = good()
    inner = spec["components"]["comp-loop"]["dag"]["tasks"]
    spec["components"]["comp-group"] = {"dag": {"tasks": {"use": inner.pop("use")}}}
    inner["group"] = {"componentRef": {"name": "comp-group"}, "taskInfo": {"name": "group"}}
    _untyped_items(spec)
    assert any("takes 'number'" in sentence for sentence in lint(spec))


def test_the_status_grows_with_every_task() -> None:
    few, many = good(), good()
    tasks(many)["another"] = task("comp-list")
    assert status_bytes(Pipeline(many)) > status_bytes(Pipeline(few)) > 0


@pytest.mark.parametrize("text", ["job: 1\n", "", "- 1\n", "#\na: 'open\n"])
def test_a_file_that_is_no_pipeline_is_wrong_input(text: str, tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"some.yaml' is (no compiled pipeline; `fl compile` writes one|not YAML; a parameter's default)"):
        lint(path)


def test_a_missing_file_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        lint(tmp_path / "none.yaml")
