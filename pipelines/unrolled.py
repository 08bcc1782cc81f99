"""The layout `unrolled`: every stage of every round is a task, with a static task per worker."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp import compiler, dsl

from components.aggregate_updates import aggregate_updates
from components.evaluate_model import evaluate_model
from components.generate_job import generate_job
from components.prepare_data import prepare_data
from components.publish_model import publish_model
from components.report import report
from components.select_workers import select_workers
from components.train_worker import train_worker
from fl_core.compiled import fixed_in
from fl_core.errors import InputError
from fl_core.job import Job
from pipelines.cluster import apply_policy
from pipelines.lint import lint

Policy = Callable[[dsl.PipelineTask, Job, str], None]
Lay = Callable[..., Any]

ROUNDS_MAX = 10
TRAININGS_MAX = 100
BUNDLE_BYTES_MAX = 100_000
NAME_CHARACTERS_MAX = 128


def compile_job(job: Job, path: str | Path, *, store: str = "", lay: Lay | None = None) -> None:
    """Writes the pipeline of a whole job as YAML; InputError where it does not fit the layout. `store` is the parameter's default, `lay` another layout."""
    text = compile_text(job, store=store, lay=lay)
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror}.") from error


def compile_text(job: Job, *, store: str = "", lay: Lay | None = None) -> str:
    """The pipeline of a whole job as YAML: one document, and a second one with what only Kubernetes reads. InputError where a backend would choke on it."""
    with tempfile.TemporaryDirectory(prefix="fl-") as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile((lay or build)(job, store=store), str(path))
        for sentence in lint(path):
            raise InputError(sentence)
        return path.read_text()


def fits(job: Job, rounds: int) -> bool:
    """Whether so many rounds of the job are few enough tasks for one run of a pipeline."""
    return rounds <= ROUNDS_MAX and rounds * len(job.workers) <= TRAININGS_MAX


def check_size(job: Job, rounds: int) -> None:
    """InputError where so many rounds of the job are too many tasks for one run of a pipeline."""
    count = len(job.workers)
    if not fits(job, rounds):
        fit = min(ROUNDS_MAX, TRAININGS_MAX // count)
        way_out = f"set rounds to {fit} or fewer" if fit else f"let at most {TRAININGS_MAX} workers share the clients"
        raise InputError(
            f"rounds is {rounds} with {count} workers; a pipeline of the layout 'unrolled' has at most {ROUNDS_MAX} rounds "
            f"and {TRAININGS_MAX} trainings (rounds x workers): {way_out}, or compile it to the layout 'live', one long task per role."
        )


def build(job: Job, *, first_round: int = 1, rounds: int | None = None, store: str = "", policy: Policy = apply_policy) -> Any:
    """The pipeline that does `rounds` rounds of the job from `first_round` on; it prepares in the first, and finishes the run after the last.

    `policy` says what each task asks of the cluster, given the task, the job and the worker's name ('' for a task that is no worker's).
    """
    last_round = job.rounds if rounds is None else first_round + rounds - 1
    check_size(job, last_round - first_round + 1)
    the_job, bundle, fixed = job, one_line(job), fixed_in(job)

    def named(task: dsl.PipelineTask, name: str, worker: str = "") -> dsl.PipelineTask:
        task.set_display_name(name).set_caching_options(False)
        policy(task, the_job, worker)
        return task

    @dsl.pipeline(name=pipeline_name(job.name), description=describe(job), display_name=job.name)  # type: ignore[untyped-decorator]
    def federation(store: str = store, run: str = "", job: str = bundle, overrides: str = "", start_from: str = "", seed: str = "") -> None:
        begun = generate_job(
            store=store,
            run=run,
            job=job,
            overrides=overrides,
            start_from=start_from,
            seed=seed,
            fixed=json.dumps(fixed, sort_keys=True),
            occurrence=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        at = {"store": store, "run": begun.outputs["name"], "manifest": begun.outputs["manifest"]}
        _Layout(the_job, at, fixed["exchanges"], named(begun, "Generate the job"), named).lay(first_round, last_round)

    return federation


def describe(job: Job) -> str:
    """What the pipeline does, and what of it is fixed when it is compiled."""
    names = ", ".join(worker.name for worker in job.workers)
    return (
        f"Federated training of '{job.name}'. Fixed when it was compiled: the workers ({names}) with their cluster settings, at most {job.rounds} rounds, "
        f"evaluation on {job.evaluate.on} every {job.evaluate.every_rounds} rounds; other overrides, one key.path=value a line, may change anything else. "
        "run names the run in the store, and a run that stopped is gone on with under its name; empty makes a new one."
    )


def one_line(job: Job) -> str:
    bundle = job.bundle()
    size = len(json.dumps(bundle))
    if size > BUNDLE_BYTES_MAX:
        raise InputError(f"The job and its code have {size} bytes; a pipeline's parameter carries at most {BUNDLE_BYTES_MAX}: make the code smaller.")
    return bundle


def pipeline_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:NAME_CHARACTERS_MAX]


class _Layout:
    """Wires the tasks of some rounds. It has state because each task comes after those before it."""

    def __init__(self, job: Job, at: Mapping[str, Any], exchanges: Sequence[str], begun: dsl.PipelineTask, named: Callable[..., dsl.PipelineTask]) -> None:
        self._job, self._at, self._exchanges, self._before, self._named = job, at, exchanges, [begun], named
        self._workers = [worker.name for worker in job.workers]
        self._evaluators = self._workers if job.evaluate.on != "test" else self._workers[:1]

    def lay(self, first_round: int, last_round: int) -> None:
        if first_round == 1:
            self._then([self._named(prepare_data(**self._at, worker=w), f"Prepare data at {w}", w) for w in self._workers])
            self._evaluate(1)
        for round in range(first_round, last_round + 1):
            self._round(round)
        if last_round >= self._job.rounds:
            self._finish(after_rounds=last_round >= first_round)

    def _round(self, round: int) -> None:
        self._then([self._named(select_workers(**self._at, round=round), f"Round {round}: select")])
        for place, exchange in enumerate(self._exchanges):
            what = "train" if len(self._exchanges) == 1 else exchange
            trained = [self._named(train_worker(**self._at, round=round, worker=w, exchange=place), f"Round {round}: {what} at {w}", w) for w in self._workers]
            self._then(trained)
            replies = [task.outputs["Output"] for task in trained]
            aggregated = aggregate_updates(**self._at, round=round, replies=replies, exchange=place)
            self._then([self._named(aggregated, f"Round {round}: aggregate" + ("" if what == "train" else f" {what}"))])
        self._evaluate(round + 1)

    def _evaluate(self, round: int) -> None:
        """Measures the state that a round starts from, where the job asks for it; the last is always measured."""
        done = round - 1
        if done % self._job.evaluate.every_rounds and done < self._job.rounds:
            return
        name = f"Round {done}: evaluate at" if done else "Evaluate the first model at"
        self._then([self._named(evaluate_model(**self._at, round=round, worker=w), f"{name} {w}", w) for w in self._evaluators])

    def _finish(self, *, after_rounds: bool) -> None:
        if not after_rounds:
            self._evaluate(self._job.rounds + 1)
        self._then([self._named(publish_model(**self._at), "Publish the model")])
        self._then([self._named(report(**self._at), "Report")])

    def _then(self, tasks: Sequence[dsl.PipelineTask]) -> None:
        """All of these start once all before them are done."""
        for task in tasks:
            task.after(*self._before)
        self._before = list(tasks)
