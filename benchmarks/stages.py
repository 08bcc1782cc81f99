"""What each stage costs under the runners `subprocess` and `docker` and in the layout `live`, beside the training itself: two workers, one machine."""

import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.start import FL
from fl_core import run
from fl_core.job import Job, parse_job
from fl_core.journal import read_journal
from fl_core.pool import Pool
from fl_core.report_facts import stage_seconds
from fl_core.runner import open_run
from pipelines.local import LOG, run_local
from tests.services.docker_daemon import NoDocker, build_images, running_docker

WORKERS = 2
MARK = re.compile(r"^(\d+):(\d+):([\d.]+) - INFO - (?:Executing task '([a-z-]+?)(?:-\d+)?'|Task .* finished)")
COLOUR = re.compile(r"\x1b\[\d+m")
DAY_SECONDS, LIVE_SECONDS = 86_400.0, 120.0
# What the journal calls the stage that a component does; the others do more than one thing.
STAGES = {"generate-job": "generate", "prepare-data": "prepare", "select-workers": "select", "train-worker": "train", "aggregate-updates": "close",
          "evaluate-model": "evaluate"}  # fmt: skip

Events = Sequence[Mapping[str, Any]]


def job_of(rounds: int) -> Job:
    """The digits with a perceptron, five epochs a round; a worker's clients are one part, so that its training is one number."""
    content = {
        "format": 1, "name": "stages", "program": {"name": "mlp", "features": 64, "hidden": [200, 200], "classes": 10},
        "strategy": {"name": "fed_avg", "local_epochs": 5, "batch_size": 10}, "data": {"name": "digits", "partition": {"name": "iid", "clients": 10}},
        "federation": {"workers": WORKERS, "parts": 1}, "rounds": rounds, "optimizer": {"name": "SGD", "learning_rate": 0.1}, "seed": 7,
    }  # fmt: skip
    return parse_job(yaml.safe_dump(content))


def measure(quick: bool) -> Measured:
    rounds = 3 if quick else 4
    job = job_of(rounds)
    settings: dict[str, Any] = {"job": "digits, 64-200-200-10, 10 clients, 5 epochs a round", "workers": WORKERS, "rounds": rounds}
    with tempfile.TemporaryDirectory(prefix="fl-") as name:
        folder = Path(name)
        training = _training(job, folder)
        figures = {"training_seconds": training, **_of_tasks(job, "subprocess", folder, training), **_of_roles(job, folder)}
        try:
            with _docker() as host, patch.dict(os.environ, DOCKER_HOST=host):
                figures |= _of_tasks(job, "docker", folder, training)
        except NoDocker as error:
            settings["docker"] = f"left out: {error}"
    return Measured(settings, {}, {key: round(value, 3) for key, value in figures.items()})


def _training(job: Job, folder: Path) -> float:
    """The median round's seconds in training processes that are warm, all workers together."""
    with Pool() as pool:
        one = run(job, out=folder / "process", pool=pool).run
    return statistics.median(trained_seconds(read_journal(one)).values())


def trained_seconds(events: Events) -> dict[int, float]:
    """Seconds of training by round, all parts added up."""
    seconds: dict[int, float] = {}
    for event in events:
        if event["event"] == "done":
            seconds[event["round"]] = seconds.get(event["round"], 0.0) + event["seconds"]
    return seconds


def _of_tasks(job: Job, runner: str, folder: Path, training: float) -> dict[str, float]:
    """A pipeline on this machine: its tasks run one after another, each from when the runner starts it to when it has seen its end."""
    one = run_local(job, runner=runner, out=folder / runner).run
    tasks = tasks_in((folder / f"{runner}.private" / "pipeline" / LOG).read_text(errors="replace"))
    own = own_seconds(read_journal(one))
    middles = {name: statistics.median(end - start for found, start, end in tasks if found == name) for name in dict.fromkeys(name for name, _, _ in tasks)}
    rounds = [start for name, start, _ in tasks if name == "select-workers"] + [next(start for name, start, _ in tasks if name == "publish-model")]
    a_round = statistics.median(after - before for before, after in itertools.pairwise(rounds))
    return {
        f"{runner}_round_seconds": a_round, f"{runner}_beside_training_seconds": a_round - training,
        f"{runner}_task_overhead_seconds": statistics.median(middles[name] - own[stage] for name, stage in STAGES.items()),
        **{f"{runner}_{name.replace('-', '_')}_seconds": seconds for name, seconds in middles.items()},
    }  # fmt: skip


def own_seconds(events: Events) -> dict[str, float]:
    """The median seconds of each stage by its own account."""
    found: dict[str, list[float]] = {}
    for event in events:
        if event["event"] == "stage":
            found.setdefault(event["stage"], []).append(event["seconds"])
    return {stage: statistics.median(seconds) for stage, seconds in found.items()}


def tasks_in(log: str) -> list[tuple[str, float, float]]:
    """Component, start and end of each task in a runner's log, in the order in which they ran."""
    marks: list[tuple[str, float]] = []
    for line in COLOUR.sub("", log).splitlines():
        if found := MARK.match(line):
            hours, minutes, seconds, name = found.groups()
            moment = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            marks.append((name or "", moment if not marks or moment >= marks[-1][1] else moment + DAY_SECONDS))
    return [(name, start, end) for (name, start), (_, end) in zip(marks[::2], marks[1::2], strict=True)]


def _of_roles(job: Job, folder: Path) -> dict[str, float]:
    """The same job as long processes, a server and two workers, that meet in a folder."""
    (folder / "job.yaml").write_text(job.text)
    words = [str(folder / "job.yaml"), "--store", f"file://{folder}/live", "--run", "live"]
    commands = [["serve", *words], *(["work", *words, "--worker", worker.name, "--processes", "1"] for worker in job.workers)]
    roles = [subprocess.Popen([FL, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    try:
        for role in roles:
            if role.wait(LIVE_SECONDS):
                raise RuntimeError(f"A role of the layout live ended with exit code {role.returncode}.")
    finally:
        for role in roles:
            role.kill()
    events = read_journal(open_run(f"file://{folder}/live/runs/live"))
    rounds, longest = live_rounds(events)
    return {
        "live_round_seconds": statistics.median(rounds.values()),
        "live_beside_training_seconds": statistics.median(seconds - longest[round] for round, seconds in rounds.items()),
        **{f"live_{stage}_seconds": statistics.median(seconds.values()) for stage, seconds in stage_seconds(events).items()},
    }


def live_rounds(events: Events) -> tuple[dict[int, float], dict[int, float]]:
    """Seconds from close to close by round, the first left out, and the longest training of each: workers train at the same time."""
    closes = {event["round"]: datetime.fromisoformat(event["time"]) for event in events if event["event"] == "stage" and event["stage"] == "close"}
    longest: dict[int, float] = {}
    for event in events:
        if event["event"] == "done":
            longest[event["round"]] = max(longest.get(event["round"], 0.0), event["seconds"])
    return {round: (end - closes[round - 1]).total_seconds() for round, end in closes.items() if round > 1}, longest


@contextmanager
def _docker() -> Iterator[str]:
    """The address of a Docker that holds the images of this checkout; NoDocker where there is none. What the build prints goes to standard error."""
    if os.environ.get("FL_SERVICES_SKIP_DOCKER"):
        raise NoDocker("FL_SERVICES_SKIP_DOCKER is set.")
    with running_docker() as docker:
        with _print_to_stderr():
            build_images(docker)
        yield docker.host


@contextmanager
def _print_to_stderr() -> Iterator[None]:
    """Children's standard output goes to standard error meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


benchmark = Benchmark(
    "A task of a pipeline costs half a second besides its work, and a round of long roles a quarter besides training.",
    {"subprocess_task_overhead_seconds": Goal(most=0.5), "live_beside_training_seconds": Goal(most=0.25)},
    measure,
)
