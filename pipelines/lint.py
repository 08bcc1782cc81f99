"""What a Kubeflow backend would choke on in a compiled pipeline, as sentences; a rule is a small function of the compiled form.

The rules come from reading the backend and the workflow engine under it, not from running them: they err on the side of refusing.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fl_core.errors import InputError

ARGUMENT_BYTES_MAX = 131_072
STATUS_BYTES_MAX = 1 << 20
DEFINITION_BYTES_MAX = 1 << 20
SEQUENCE_MAX = 100
NODES_A_TASK = 4  # driver and executor, each in a node of its own for its retries

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """One task of the compiled form: its name, where it stands (`root` or the component of a group), and its specification."""

    name: str
    group: str
    spec: Spec

    @property
    def shown(self) -> str:
        return str(self.spec.get("taskInfo", {}).get("name") or self.name)

    @property
    def component(self) -> str:
        return str(self.spec["componentRef"]["name"])

    @property
    def iterates(self) -> bool:
        return "parameterIterator" in self.spec or "artifactIterator" in self.spec


@dataclass(frozen=True)
class Pipeline:
    """The compiled form: what every backend reads, and what only Kubernetes does (None where there is no second document)."""

    spec: Spec
    platform: Spec | None = None

    @property
    def components(self) -> Spec:
        return self.spec.get("components", {})  # type: ignore[no-any-return]

    @property
    def executors(self) -> Spec:
        return self.spec.get("deploymentSpec", {}).get("executors", {})  # type: ignore[no-any-return]

    @property
    def groups(self) -> dict[str, Spec]:
        """Every component that is made of tasks, and the root."""
        return {"root": self.spec["root"], **{name: component for name, component in self.components.items() if "dag" in component}}

    @property
    def tasks(self) -> list[Task]:
        return [Task(name, group, spec) for group, component in self.groups.items() for name, spec in component["dag"]["tasks"].items()]

    def container(self, executor: str) -> Spec:
        return self.executors.get(executor, {}).get("container", {})  # type: ignore[no-any-return]

    def within(self, task: Task) -> list[Task]:
        """The tasks of the group that a task stands for, and of the groups within it."""
        inner = [one for one in self.tasks if one.group == task.component]
        return inner + [deeper for one in inner for deeper in self.within(one)]


Rule = Callable[[Pipeline], Iterator[str]]


def lint(pipeline: str | Path | Mapping[str, Any]) -> list[str]:
    """A sentence for everything in a compiled file (or its content) that a backend would choke on; InputError where it is no compiled pipeline."""
    read = read_pipeline(pipeline)
    return [sentence for rule in RULES for sentence in rule(read)]


def read_pipeline(pipeline: str | Path | Mapping[str, Any]) -> Pipeline:
    if isinstance(pipeline, Mapping):
        documents: list[Any] = [pipeline]
    else:
        documents = _read_documents(Path(pipeline))
    if not documents or not isinstance(documents[0], Mapping) or "dag" not in documents[0].get("root", {}):
        raise InputError(f"'{pipeline if isinstance(pipeline, str | Path) else 'This'}' is no compiled pipeline; `fl compile` writes one.")
    platforms = [document["platforms"]["kubernetes"] for document in documents[1:] if "kubernetes" in (document or {}).get("platforms", {})]
    return Pipeline(documents[0], platforms[0] if platforms else None)


def _read_documents(path: Path) -> list[Any]:
    try:
        return list(yaml.load_all(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not YAML; a parameter's default of several lines breaks the comment at its head.") from error


def caching_is_off(pipeline: Pipeline) -> Iterator[str]:
    for task in pipeline.tasks:
        if task.spec.get("cachingOptions", {}).get("enableCache"):
            inside = " and stands in a loop, whose iterations would share one entry" if _in_a_loop(pipeline, task) else ""
            yield f"'{task.shown}' is cached{inside}; a stage does its work in the store and must be called: switch its caching off."


def images_are_named(pipeline: Pipeline) -> Iterator[str]:
    for name in pipeline.executors:
        if "container" in pipeline.executors[name] and not pipeline.container(name).get("image"):
            yield f"'{name}' names no image; give its component a base_image."


def images_are_pinned(pipeline: Pipeline) -> Iterator[str]:
    for name in pipeline.executors:
        image = str(pipeline.container(name).get("image", ""))
        tag = image.rpartition("/")[2].partition(":")[2]
        if image and "@sha256:" not in image and "{{" not in image and tag in ("", "latest"):
            yield f"'{name}' runs the image '{image}', which may be another one tomorrow; name a version or a digest."


def loop_items_have_their_type(pipeline: Pipeline) -> Iterator[str]:
    for task in pipeline.tasks:
        iterator = task.spec.get("parameterIterator")
        if iterator is None:
            continue
        item = iterator["itemInput"]
        found = _parameter_type(pipeline.components[task.component], item)
        for inner in pipeline.within(task):
            for port, source in inner.spec.get("inputs", {}).get("parameters", {}).items():
                wanted = _parameter_type(pipeline.components[inner.component], port)
                if source.get("componentInputParameter") == item and wanted != found:
                    yield (
                        f"'{task.shown}' loops over items of type {found}, but '{inner.shown}' takes '{port}' as {wanted}; "
                        "type the list's items, such as List[int] or List[dict]."
                    )


def lists_feed_no_artifacts(pipeline: Pipeline) -> Iterator[str]:
    for task in pipeline.tasks:
        if "artifactIterator" in task.spec:
            yield f"'{task.shown}' loops over artifacts, which no backend does; loop over their names."


def arguments_are_short(pipeline: Pipeline) -> Iterator[str]:
    too_long = f"bytes, and one argument carries at most {ARGUMENT_BYTES_MAX}: put it into the store and pass its key."
    for name in pipeline.executors:
        for word in [*pipeline.container(name).get("command", []), *pipeline.container(name).get("args", [])]:
            if (size := len(str(word).encode())) > ARGUMENT_BYTES_MAX:
                yield f"'{name}' has an argument of {size} {too_long}"
    for name, spec in _root_parameters(pipeline).items():
        if (size := len(json.dumps(spec.get("defaultValue", "")))) > ARGUMENT_BYTES_MAX:
            yield f"The parameter '{name}' has a default of {size} {too_long}"
    for task in pipeline.tasks:
        for port, source in task.spec.get("inputs", {}).get("parameters", {}).items():
            if (size := len(json.dumps(source.get("runtimeValue", "")))) > ARGUMENT_BYTES_MAX:
                yield f"'{task.shown}' gets '{port}' of {size} {too_long}"


def defaults_are_one_line(pipeline: Pipeline) -> Iterator[str]:
    for name, spec in _root_parameters(pipeline).items():
        if "\n" in str(spec.get("defaultValue", "")):
            yield f"The parameter '{name}' has a default of several lines, which breaks the comment at the file's head; write it as one line of JSON."


def status_is_small(pipeline: Pipeline) -> Iterator[str]:
    size = status_bytes(pipeline)
    if size > STATUS_BYTES_MAX:
        yield (
            f"The run's status would have about {size} bytes, and a workflow's holds at most {STATUS_BYTES_MAX}; make fewer tasks, "
            "with fewer rounds or workers a run."
        )


def status_bytes(pipeline: Pipeline) -> int:
    """An estimate: every node of a task holds a copy of component, task and container, packed as the engine packs them, and nothing shared between nodes."""
    packed = 0
    for task in pipeline.tasks:
        component = pipeline.components[task.component]
        container = pipeline.container(component.get("executorLabel", ""))
        inputs = json.dumps({"component": json.dumps(component), "task": json.dumps(task.spec), "container": json.dumps(container)})
        packed += NODES_A_TASK * len(gzip.compress(inputs.encode()))
    return packed * 4 // 3  # base64


def definition_is_small(pipeline: Pipeline) -> Iterator[str]:
    size = len(json.dumps(pipeline.spec))
    if size > DEFINITION_BYTES_MAX:
        yield f"The definition has {size} bytes, and a workflow object holds about {DEFINITION_BYTES_MAX}; make fewer tasks, or give the job to one task only."


def sequence_is_short(pipeline: Pipeline) -> Iterator[str]:
    for group, component in pipeline.groups.items():
        depth = _depth(component["dag"]["tasks"])
        if depth > SEQUENCE_MAX:
            yield f"In '{group}' {depth} tasks wait for one another, each for two pods to be scheduled; at most {SEQUENCE_MAX} are sensible: use longer tasks."


def one_of_gives_parameters(pipeline: Pipeline) -> Iterator[str]:
    for group, component in pipeline.groups.items():
        for name, artifact in component["dag"].get("outputs", {}).get("artifacts", {}).items():
            if len(artifact.get("artifactSelectors", [])) > 1:
                yield f"'{group}' gives one of several artifacts as '{name}', perhaps a wrong one or none; choose between parameters, such as store keys."


def importers_stand_outside_loops(pipeline: Pipeline) -> Iterator[str]:
    for task in pipeline.tasks:
        executor = pipeline.components[task.component].get("executorLabel", "")
        if "importer" in pipeline.executors.get(executor, {}) and _in_a_loop(pipeline, task):
            yield f"'{task.shown}' imports inside a loop, which takes the first item's URI for all; import before the loop."


def exit_handlers_hold_no_loops(pipeline: Pipeline) -> Iterator[str]:
    for task in pipeline.tasks:
        if task.spec.get("triggerPolicy", {}).get("strategy") != "ALL_UPSTREAM_TASKS_COMPLETED":
            continue
        for guarded in pipeline.tasks:
            if guarded.group == task.group and guarded.name in task.spec.get("dependentTasks", []):
                for loop in (inner for inner in [guarded, *pipeline.within(guarded)] if inner.iterates):
                    yield f"'{loop.shown}' loops under the exit handler '{task.shown}', which then never starts; unroll the loop, or leave the handler out."


def equal_containers_have_equal_ports(pipeline: Pipeline) -> Iterator[str]:
    seen: dict[str, tuple[str, Any]] = {}
    for name, component in pipeline.components.items():
        container = pipeline.container(component.get("executorLabel", ""))
        ports = [component.get("inputDefinitions"), component.get("outputDefinitions")]
        if not container:
            continue
        first, found = seen.setdefault(json.dumps(container, sort_keys=True), (name, ports))
        if found != ports:
            yield f"'{first}' and '{name}' run the same container with different ports, and the backend takes one for the other; let their commands differ."


def names_have_no_dots(pipeline: Pipeline) -> Iterator[str]:
    names = [task.name for task in pipeline.tasks] + list(pipeline.components) + list(_root_parameters(pipeline))
    for component in pipeline.components.values():
        for side in ("inputDefinitions", "outputDefinitions"):
            for kind in ("parameters", "artifacts"):
                names += component.get(side, {}).get(kind, {})
    for name in sorted({name for name in names if "." in name}):
        yield f"'{name}' has a dot in it, at which the backend cuts paths; use '-' or '_'."


def backoff_is_whole(pipeline: Pipeline) -> Iterator[str]:
    for task in pipeline.tasks:
        factor = task.spec.get("retryPolicy", {}).get("backoffFactor", 1)
        if factor != int(factor):
            yield f"'{task.shown}' waits {factor} times longer before each retry, and the engine reads whole numbers only; write {max(1, round(factor))}."


def tasks_can_write_to_tmp(pipeline: Pipeline) -> Iterator[str]:
    for name, settings in _cluster_settings(pipeline):
        mounts = [*settings.get("emptyDirMounts", []), *settings.get("pvcMount", [])]
        if not any(mount.get("mountPath") == "/tmp" for mount in mounts):
            yield f"'{name}' has nothing to write on at /tmp, where every task begins; mount an emptyDir there."


def users_have_numbers(pipeline: Pipeline) -> Iterator[str]:
    for name, settings in _cluster_settings(pipeline):
        if not int(settings.get("securityContext", {}).get("runAsUser", 0)):
            yield f"'{name}' does not say by number which user it runs as, and pods that must not run as root refuse it; set the security context's user."


def nobody_is_root(pipeline: Pipeline) -> Iterator[str]:
    for name, settings in _cluster_settings(pipeline):
        if settings.get("securityContext", {}).get("runAsNonRoot") is not True:
            yield f"'{name}' does not say that it never runs as root, and a namespace of Pod Security 'restricted' refuses it; set run_as_non_root."


RULES: tuple[Rule, ...] = (
    caching_is_off, images_are_named, images_are_pinned, loop_items_have_their_type, lists_feed_no_artifacts, arguments_are_short, defaults_are_one_line,
    status_is_small, definition_is_small, sequence_is_short, one_of_gives_parameters, importers_stand_outside_loops, exit_handlers_hold_no_loops,
    equal_containers_have_equal_ports, names_have_no_dots, backoff_is_whole, tasks_can_write_to_tmp, users_have_numbers,
    nobody_is_root,
)  # fmt: skip


def _root_parameters(pipeline: Pipeline) -> Spec:
    return pipeline.spec["root"].get("inputDefinitions", {}).get("parameters", {})  # type: ignore[no-any-return]


def _parameter_type(component: Spec, port: str) -> str:
    return str(component.get("inputDefinitions", {}).get("parameters", {}).get(port, {}).get("parameterType"))


def _in_a_loop(pipeline: Pipeline, task: Task) -> bool:
    return any(task in pipeline.within(loop) for loop in pipeline.tasks if loop.iterates)


def _cluster_settings(pipeline: Pipeline) -> Iterator[tuple[str, Spec]]:
    """What Kubernetes is told of each executor; nothing where the pipeline has no cluster policy."""
    if pipeline.platform is not None:
        settings = pipeline.platform.get("deploymentSpec", {}).get("executors", {})
        for name in pipeline.executors:
            yield name, settings.get(name, {})


def _depth(tasks: Spec) -> int:
    """How many tasks wait for one another at most."""

    @cache
    def depth(name: str) -> int:
        return 1 + max((depth(before) for before in tasks[name].get("dependentTasks", []) if before in tasks), default=0)

    return max((depth(name) for name in tasks), default=0)
