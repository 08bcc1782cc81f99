"""A run's metrics where people already look: VisualDL, TensorBoard, MLflow. Each is a package of its own, installed as an extra.

    with log_to("tensorboard") as on_round:
        run(job, on_round=on_round)

What a log holds follows from the run's records. So the files of a resumed run are written anew from its first round, and MLflow is asked which rounds
it has: no step is there twice, and what a dying process did not write is made up for.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from fl_core.codec import sha256
from fl_core.comparison import flatten
from fl_core.errors import InputError, did_you_mean
from fl_core.run_folder import Run
from fl_core.runner import OnRound, Progress
from fl_core.summary import row_of
from fl_core.worker import is_measured

FOLDER = "log"
OWNER = ".run"
LATE_ROUNDS_MAX = 3
FIGURES = ("train_loss", "examples", "clients", "left_out", "simulated_seconds")
PARAMETERS_MAX, VALUE_LETTERS_MAX, BATCH_METRICS_MAX = 100, 250, 1000  # what MLflow takes in one call

Step = tuple[int, Mapping[str, float]]


@dataclass(frozen=True)
class Log:
    """An open log: takes steps in rising order, is closed with whether the run is done; `newest` is the last step that it holds already."""

    write: Callable[[Sequence[Step]], None]
    close: Callable[[bool], None]
    newest: int = -1


def open_visualdl(package: Any, place: str, run: Run, name: str) -> Log:
    return _files(package.LogWriter(str(_emptied(place, run, name, "vdlrecords.*"))))


def open_tensorboard(package: Any, place: str, run: Run, name: str) -> Log:
    return _files(package.SummaryWriter(str(_emptied(place, run, name, "events.out.tfevents.*"))))


def open_mlflow(package: Any, place: str, run: Run, name: str) -> Log:
    """An experiment of the job's name, and in it a run that knows by a tag which of ours it is."""
    client, entities = package.MlflowClient(tracking_uri=place or None), package.entities
    experiment = client.get_experiment_by_name(run.job.name)
    within = experiment.experiment_id if experiment else client.create_experiment(run.job.name)
    found = client.search_runs([within], f"tags.fl_run = '{_identity(run)}'", max_results=1)
    one = found[0] if found else client.create_run(within, run_name=name, tags={"fl_run": _identity(run), "fl_place": run.store.uri})
    number = one.info.run_id
    if not found:
        parameters = [*flatten(run.job).items(), ("seed", str(run.job.seed))][-PARAMETERS_MAX:]
        client.log_batch(number, params=[entities.Param(key, value[:VALUE_LETTERS_MAX]) for key, value in parameters])

    def write(steps: Sequence[Step]) -> None:
        for batch in batches(steps):
            now = round(time.time() * 1000)
            client.log_batch(number, metrics=[entities.Metric(key, value, now, step) for step, key, value in batch])

    held = [metric.step for key in one.data.metrics for metric in client.get_metric_history(number, key)]
    return Log(write, lambda done: client.set_terminated(number, "FINISHED" if done else "KILLED"), max(held, default=-1))


def batches(steps: Iterable[Step], metrics_max: int = BATCH_METRICS_MAX) -> Iterator[list[tuple[int, str, float]]]:
    """The (step, key, value) of the steps, at most `metrics_max` at a time. A step stays whole where it fits, because one that is there is not sent again."""
    batch: list[tuple[int, str, float]] = []
    for step, figures in steps:
        one = [(step, key, value) for key, value in figures.items()]
        if batch and len(batch) + len(one) > metrics_max:
            yield batch
            batch = []
        batch += one
        while len(batch) > metrics_max:
            yield batch[:metrics_max]
            batch = batch[metrics_max:]
    if batch:
        yield batch


# The package of each backend and what opens a log with it.
BACKENDS: Mapping[str, tuple[str, Callable[[Any, str, Run, str], Log]]] = {
    "visualdl": ("visualdl", open_visualdl),
    "tensorboard": ("tensorboardX", open_tensorboard),
    "mlflow": ("mlflow", open_mlflow),
}


def _files(writer: Any) -> Log:
    """The log behind a writer of event files."""

    def write(steps: Sequence[Step]) -> None:
        for step, figures in steps:
            for key, value in figures.items():
                writer.add_scalar(key, value, step)
        writer.flush()

    return Log(write, lambda done: writer.close())


def _emptied(place: str, run: Run, name: str, files: str) -> Path:
    """The folder of the run's files, without those of an earlier log of the same run. One that holds the log of another run, or of who left no mark of ours,
    stays as it is, and the run has another folder; InputError where that holds such a log, too."""
    mark, here = _identity(run), Path(place or FOLDER) / name
    for folder in (here, here.with_name(f"{here.name}-{mark[:8]}")):
        owner = folder / OWNER
        there = list(folder.glob(files))
        if owner.exists() and owner.read_text() == mark:
            for file in there:
                file.unlink()
            return folder
        if not owner.exists() and not there:
            folder.mkdir(parents=True, exist_ok=True)
            owner.write_text(mark)
            return folder
    raise InputError(f"'{here}' and '{folder}' hold logs of others; name another place with --log-to.")


def _identity(run: Run) -> str:
    return sha256(run.store.uri.encode())


class _Follower:
    """Writes a run's rows into a log, each once, as they come to be; it has state because a log is open."""

    def __init__(self, backend: str, place: str, name: str, tell: Callable[[str], None]) -> None:
        self._backend, self._place, self._name, self._tell = backend, place, name, tell
        self._package, self._open = package_of(backend), BACKENDS[backend][1]
        self._log: Log | None = None
        self._run: Run | None = None
        self._done, self._written = 0, -1

    def on_round(self, progress: Progress) -> None:
        self._run, self._done = progress.run, progress.round
        self._write(all_there=False)

    def close(self, finished: bool) -> None:
        if finished:
            self._write(all_there=True)
        if self._log is not None:
            self._log.close(finished)

    def _write(self, *, all_there: bool) -> None:
        """Writes the rows that are new and complete; what a log does not take is said, and offered again after the next round."""
        if self._run is None:
            return
        try:
            if self._log is None:
                self._log = self._open(self._package, self._place, self._run, self._name or self._run.name)
                self._written = self._log.newest
            steps = self._steps(self._run, all_there)
            if steps:
                self._log.write(steps)
                self._written = steps[-1][0]
        except Exception as error:  # a log that cannot be written must not end a federation
            self._tell(f"The log of '{self._run.name}' cannot be written to {self._backend}: {type(error).__name__}: {error}; the run goes on.")

    def _steps(self, run: Run, all_there: bool) -> list[Step]:
        """The rows after the last written one, up to the first that waits for its evaluation."""
        steps: list[Step] = []
        for done in range(self._written + 1, self._done + 1):
            row = row_of(run, done)
            if not (all_there or row["metrics"] or not is_measured(run.job, done + 1) or self._done - done >= LATE_ROUNDS_MAX):
                break
            steps.append((done, {**row["metrics"], **{key: row[key] for key in FIGURES if key in row}}))
        return steps


def package_of(backend: str) -> Any:
    """The backend's package; InputError where it is missing or no such backend is known."""
    if backend not in BACKENDS:
        raise InputError(f"--log is '{backend}'; {did_you_mean(backend, BACKENDS)}")
    package = BACKENDS[backend][0]
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(
            f"--log {backend} needs the package {package}, which cannot be imported ({error}); install the extra `log-{backend}`, such as by "
            f"pip install '.[log-{backend}]' in a checkout."
        ) from error


@contextmanager
def log_to(backend: str, place: str = "", name: str = "", tell: Callable[[str], None] = print) -> Iterator[OnRound]:
    """What hears of a run's rounds and writes them into a log; InputError where the backend's package is missing.

    `place` is the folder above the run's own (default: `log`), or MLflow's tracking URI (default: what MLflow itself takes); `name` is the run's in the
    log. `tell` gets a sentence where the log cannot be written; the run goes on, and what is missing is written with a later round.
    """
    follower = _Follower(backend, place, name, tell)
    try:
        yield follower.on_round
    except BaseException:
        follower.close(finished=False)
        raise
    follower.close(finished=True)
