"""Warm stages: a task behaves as under an interpreter of its own, and neither it nor its launcher outlives the other."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.launch import KILLED
from pipelines.warm import warm_stages

TASK = """
import os, sys, time
from kfp.dsl import *

def act(what: str):
    print(what, os.environ.get("COLOUR"), os.getcwd(), flush=True)
    print("aside", file=sys.stderr, flush=True)
    if what == "end":
        raise SystemExit(3)
    if what == "fail":
        raise RuntimeError("no luck")
    if what == "wait":
        time.sleep(600)
    if what == "die":
        os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warm_stages(tmp_path_factory.mktemp("stages")) as path:
        yield path


def start(launcher: str, folder: Path, what: str) -> "subprocess.Popen[str]":
    """A task as kfp.local starts it, but for the interpreter."""
    (folder / "task.py").write_text(TASK)
    told = json.dumps({"inputs": {"parameterValues": {"what": what}}, "outputs": {"outputFile": str(folder / "outputs.json")}})
    words = ["-m", "kfp.dsl.executor_main", "--component_module_path", str(folder / "task.py"), "--executor_input", told, "--function_to_execute", "act"]
    environment = {**os.environ, "COLOUR": "green", "_KFP_RUNTIME": "true"}
    return subprocess.Popen([launcher, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment)


@pytest.mark.parametrize(("what", "code"), [("go", 0), ("end", 3), ("fail", 1), ("die", KILLED)])
def test_a_task_ends_with_its_own_code_streams_folder_and_environment(what: str, code: int, launcher: str, tmp_path: Path) -> None:
    task = start(launcher, tmp_path, what)
    out, aside = task.communicate(timeout=60)
    assert task.returncode == code
    assert f"{what} green {tmp_path}" in out
    assert "aside" in aside
    assert ("RuntimeError: no luck" in aside) == (what == "fail")


def test_a_task_dies_with_its_launcher(launcher: str, tmp_path: Path) -> None:
    task = start(launcher, tmp_path, "wait")
    assert task.stdout
    while "wait green" not in task.stdout.readline():
        pass
    task.send_signal(signal.SIGKILL)
    assert task.communicate(timeout=60)[0] == "", "the task holds the stream until it is gone"
