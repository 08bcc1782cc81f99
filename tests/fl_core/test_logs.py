"""Logs behind fakes of VisualDL, TensorBoard and MLflow, which are not installed here."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fl_core import resume, run
from fl_core.errors import InputError
from fl_core.logs import BACKENDS, batches, log_to, open_mlflow
from fl_core.pool import Pool
from fl_core.run_folder import Run, metrics_key
from fl_core.runner import Progress
from fl_core.store import DictStore
from fl_core.summary import rows
from tests.fl_core.test_report import a_job, a_run
from tests.jobs import tiny_job

Written = list[tuple[str, float, int]]


def of_rows(run: Run) -> Written:
    """What a log of a run holds."""
    known = ("train_loss", "examples", "clients", "left_out")
    figures = [(row["round"], {**row["metrics"], **{key: row[key] for key in known if key in row}}) for row in rows(run)]
    return [(key, value, step) for step, values in figures for key, value in values.items()]


class Writer:
    """Stands in for tensorboardX.SummaryWriter and visualdl.LogWriter: a file a writer, a line a value."""

    files = ""

    def __init__(self, folder: str) -> None:
        number = len(list(Path(folder).glob("*")))
        self._file = (Path(folder) / f"{self.files}{number}").open("w")

    def add_scalar(self, key: str, value: float, step: int) -> None:
        self._file.write(f"{key} {value!r} {step}\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def written(folder: Path) -> Written:
    lines = [line.split() for file in sorted(folder.glob("[!.]*")) for line in file.read_text().splitlines()]
    return [(key, float(value), int(step)) for key, value, step in lines]


@pytest.fixture(params=["visualdl", "tensorboard"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A backend of files whose package is a fake."""
    name, writer, files = {"visualdl": ("visualdl", "LogWriter", "vdlrecords."), "tensorboard": ("tensorboardX", "SummaryWriter", "events.out.tfevents.")}[
        request.param
    ]
    package = ModuleType(name)
    setattr(package, writer, type(writer, (Writer,), {"files": files}))
    monkeypatch.setitem(sys.modules, name, package)
    return str(request.param)


def progress(one: Run, round: int) -> Progress:
    return Progress(round, one.job.rounds, {}, 60, 1.0, one, round)


def test_every_round_is_written_as_metrics_jsonl_holds_it(backend: str, tmp_path: Path, pool: Pool) -> None:
    with log_to(backend, str(tmp_path / "log")) as on_round:
        result = run(tiny_job("rounds=2", "evaluate.every_rounds=2"), out=tmp_path / "digits", pool=pool, on_round=on_round)
    assert written(tmp_path / "log/digits") == of_rows(result.run)
    assert {step for _, _, step in of_rows(result.run)} == {0, 1, 2}


def test_a_resumed_run_has_every_step_once(backend: str, tmp_path: Path, pool: Pool) -> None:
    def stop_at_two(told: Progress) -> None:
        on_round(told)
        if told.round == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), log_to(backend, str(tmp_path / "log")) as on_round:
        run(tiny_job(), out=tmp_path / "digits", pool=pool, on_round=stop_at_two)
    assert {step for _, _, step in written(tmp_path / "log/digits")} == {0, 1, 2}
    with log_to(backend, str(tmp_path / "log")) as on_round:
        result = resume(tmp_path / "digits", pool=pool, on_round=on_round)
    assert written(tmp_path / "log/digits") == of_rows(result.run)


def test_a_log_that_begins_with_a_resume_has_the_rounds_before_too(backend: str, tmp_path: Path) -> None:
    one = a_run(["ann"], [({"ann": 2.0}, {}), ({"ann": 1.0}, {}), ({"ann": 0.5}, {})])
    with log_to(backend, str(tmp_path)) as on_round:
        on_round(progress(one, 3))
    assert written(tmp_path / "by-hand") == of_rows(one)


def test_two_runs_of_one_name_have_a_log_each(backend: str, tmp_path: Path) -> None:
    for place in ("here", "there", "here"):
        one = a_run(["ann"], [({"ann": 2.0}, {})], store=DictStore({}).at(place), job=a_job(1))
        with log_to(backend, str(tmp_path)) as on_round:
            on_round(progress(one, 1))
    assert len(list(tmp_path.iterdir())) == 2
    assert all(written(folder) == of_rows(one) for folder in tmp_path.iterdir())


def test_a_log_of_somebody_else_is_neither_emptied_nor_taken_over(backend: str, tmp_path: Path) -> None:
    one = a_run(["ann"], [({"ann": 2.0}, {})])
    theirs = [tmp_path / "by-hand" / name for name in ("events.out.tfevents.1", "vdlrecords.1")]
    theirs[0].parent.mkdir()
    for file in theirs:
        file.write_text("theirs")
    for _ in range(2):
        with log_to(backend, str(tmp_path)) as on_round:
            on_round(progress(one, 1))
    assert sorted(theirs[0].parent.iterdir()) == theirs
    assert {file.read_text() for file in theirs} == {"theirs"}
    (ours,) = tmp_path.glob("by-hand-*")
    assert written(ours) == of_rows(one)
    next(ours.glob("[!.]*")).write_text("theirs")
    (ours / ".run").unlink()
    said: list[str] = []
    with log_to(backend, str(tmp_path), tell=said.append) as on_round:
        on_round(progress(one, 1))
    assert "hold logs of others; name another place with --log-to" in said[0]
    assert next(ours.glob("[!.]*")).read_text() == "theirs"


def test_a_run_may_be_called_otherwise_in_the_log(backend: str, tmp_path: Path) -> None:
    with log_to(backend, str(tmp_path), "fed_avg/seed-7") as on_round:
        on_round(progress(a_run(["ann"], [({"ann": 2.0}, {})]), 1))
    assert written(tmp_path / "fed_avg/seed-7")


def test_a_round_waits_for_its_evaluation(backend: str, tmp_path: Path) -> None:
    one = a_run(["ann"], [({"ann": 2.0}, {}), ({"ann": 1.0}, {})])
    late = one.record(metrics_key(3))
    one.store.delete(metrics_key(3))
    unread = Run(one.name, one.job, one.store, one.private)
    with log_to(backend, str(tmp_path)) as on_round:
        on_round(progress(unread, 2))
        assert max(step for _, _, step in written(tmp_path / "by-hand")) == 1
        one.put(metrics_key(3), {key: value for key, value in late.items() if key not in ("signature", "signer")})
    assert written(tmp_path / "by-hand") == of_rows(one)


def test_a_log_that_cannot_be_written_ends_no_run_and_is_made_up_for(backend: str, tmp_path: Path) -> None:
    one = a_run(["ann"], [({"ann": 2.0}, {}), ({"ann": 1.0}, {})])
    (tmp_path / "log").touch()
    said: list[str] = []
    with log_to(backend, str(tmp_path / "log"), tell=said.append) as on_round:
        on_round(progress(one, 1))
        (tmp_path / "log").unlink()
        on_round(progress(one, 2))
    assert len(said) == 1
    assert said[0].startswith(f"The log of 'by-hand' cannot be written to {backend}: ")
    assert said[0].endswith("; the run goes on.")
    assert written(tmp_path / "log/by-hand") == of_rows(one)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_missing_package_is_one_sentence_with_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, BACKENDS[name][0], None)
    with pytest.raises(InputError, match=rf"--log {name} needs the package {BACKENDS[name][0]}, .* install the extra `log-{name}`"), log_to(name):
        pass


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match="--log is 'tensorbord'; did you mean 'tensorboard'"), log_to("tensorbord"):
        pass


@dataclass
class Server:
    """Stands in for an MLflow server: experiments by name, runs with tags, parameters and metrics."""

    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)

    def client(self, tracking_uri: str | None = None) -> "Server":
        self.asked.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        return self.experiments.setdefault(name, str(len(self.experiments)))

    def search_runs(self, experiments: Sequence[str], words: str, max_results: int) -> list[Any]:
        return [one for one in self.runs.values() if one.within in experiments and words == f"tags.fl_run = '{one.tags['fl_run']}'"][:max_results]

    def create_run(self, within: str, run_name: str, tags: dict[str, str]) -> Any:
        number = str(len(self.runs))
        data = SimpleNamespace(metrics={})
        self.runs[number] = SimpleNamespace(within=within, name=run_name, tags=tags, params={}, history=[], status="RUNNING", data=data, info=None)
        self.runs[number].info = SimpleNamespace(run_id=number)
        return self.runs[number]

    def log_batch(self, number: str, metrics: Sequence[Any] = (), params: Sequence[Any] = ()) -> None:
        assert len(metrics) <= 1000, "MLflow refuses more"
        one = self.runs[number]
        one.history += [(metric.key, metric.value, metric.step) for metric in metrics]
        one.data.metrics |= {metric.key: metric.value for metric in metrics}
        one.params |= {param.key: param.value for param in params}

    def get_metric_history(self, number: str, key: str) -> list[Any]:
        return [SimpleNamespace(step=step) for name, _, step in self.runs[number].history if name == key]

    def set_terminated(self, number: str, status: str) -> None:
        self.runs[number].status = status


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    package: Any = ModuleType("mlflow")
    package.MlflowClient = server.client
    package.entities = SimpleNamespace(
        Metric=lambda key, value, timestamp, step: SimpleNamespace(key=key, value=value, step=step),
        Param=lambda key, value: SimpleNamespace(key=key, value=value),
    )
    monkeypatch.setitem(sys.modules, "mlflow", package)
    return server


def test_mlflow_gets_an_experiment_a_run_its_job_and_every_step(mlflow: Server) -> None:
    one = a_run(["ann"], [({"ann": 2.0}, {}), ({"ann": 1.0}, {})])
    with log_to("mlflow", "http://tracking.example") as on_round:
        on_round(progress(one, 1))
        on_round(progress(one, 2))
    assert mlflow.asked == ["http://tracking.example"]
    assert mlflow.experiments == {"wards": "0"}
    (logged,) = mlflow.runs.values()
    assert (logged.name, logged.status, logged.history) == ("by-hand", "FINISHED", of_rows(one))
    assert (logged.params["data.name"], logged.params["seed"]) == ("digits", "0")


def test_mlflow_is_asked_which_steps_it_has(mlflow: Server) -> None:
    one = a_run(["ann"], [({"ann": 2.0}, {}), ({"ann": 1.0}, {}), ({"ann": 0.5}, {})])
    with suppress(KeyboardInterrupt), log_to("mlflow") as on_round:
        on_round(progress(one, 2))
        raise KeyboardInterrupt
    (logged,) = mlflow.runs.values()
    assert logged.status == "KILLED"
    with log_to("mlflow") as on_round:
        on_round(progress(one, 2))
        on_round(progress(one, 3))
    assert list(mlflow.runs.values()) == [logged]
    assert (logged.status, logged.history) == ("FINISHED", of_rows(one))
    assert mlflow.asked == [None, None]


def test_mlflow_gets_no_more_metrics_in_one_call_than_it_takes(mlflow: Server) -> None:
    one = a_run(["ann"], [({"ann": 2.0}, {})])
    steps = [(step, {f"metric_{number}": float(number) for number in range(30)}) for step in range(50)]
    open_mlflow(sys.modules["mlflow"], "", one, "wide").write(steps)
    (logged,) = mlflow.runs.values()
    assert logged.history == [(key, value, step) for step, figures in steps for key, value in figures.items()]


def test_a_step_stays_whole_unless_it_is_more_than_one_call_takes() -> None:
    steps = [(step, dict.fromkeys("abc"[:count], 1.0)) for step, count in enumerate((1, 2, 0, 3))]
    assert [[step for step, _, _ in batch] for batch in batches(steps, 4)] == [[0, 1, 1], [3, 3, 3]]
    assert [[step for step, _, _ in batch] for batch in batches(steps, 2)] == [[0], [1, 1], [3, 3], [3]]
