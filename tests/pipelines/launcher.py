"""Plays the launcher of a pipeline's task: what to run, and the message that tells a component its parameters and where its outputs go.

On a cluster the driver resolves a task's inputs and the launcher calls the executor's command with `{{$}}` replaced by such a message; here both are one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

JOB_ID = "{{$.pipeline_job_uuid}}"


@dataclass(frozen=True)
class CompiledTask:
    """A task of a compiled pipeline, as far as running its container goes."""

    name: str
    image: str
    command: list[str]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def words(self, folder: str) -> list[str]:
        """The command line; receipts and outputs go below the folder."""
        message = {"inputs": {"parameterValues": dict(self.inputs)}, "outputs": _places(self.outputs, f"{folder}/{self.name}".replace(" ", "-"))}
        return [word if word != "{{$}}" else json.dumps(message) for word in self.command]


def tasks_of(text: str, given: Mapping[str, str], occurrence: str = "1") -> dict[str, CompiledTask]:
    """The tasks of a compiled pipeline by the name that the UI shows; `given` is what a user fills in, and `occurrence` the run's id."""
    spec = next(iter(yaml.safe_load_all(text)))
    parameters = {name: given.get(name, about["defaultValue"]) for name, about in spec["root"]["inputDefinitions"]["parameters"].items()}
    found = {}
    for task in spec["root"]["dag"]["tasks"].values():
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        inputs = {name: _value(source, parameters, occurrence) for name, source in task["inputs"]["parameters"].items()}
        shown = task["taskInfo"]["name"]
        found[shown] = CompiledTask(shown, container["image"], [*container["command"], *container["args"]], inputs, component["outputDefinitions"])
    return found


def _value(source: Mapping[str, Any], parameters: Mapping[str, Any], occurrence: str) -> Any:
    if "componentInputParameter" in source:
        return parameters[source["componentInputParameter"]]
    value = source["runtimeValue"]["constant"]
    return occurrence if value == JOB_ID else value


def _places(outputs: Mapping[str, Any], folder: str) -> dict[str, Any]:
    artifacts = {
        name: {"artifacts": [{"name": name, "type": about["artifactType"], "uri": f"{folder}/{name}", "metadata": {}}]}
        for name, about in outputs.get("artifacts", {}).items()
    }
    parameters = {name: {"outputFile": f"{folder}/{name}"} for name in outputs.get("parameters", {})}
    return {"artifacts": artifacts, "parameters": parameters, "outputFile": f"{folder}/executor_output.json"}
