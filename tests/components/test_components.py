"""The components: thin and self-contained; called by hand they train a round, find done what is done, and end errors in a sentence and an exit code."""

import ast
import builtins
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fl_core.compiled import fixed_in
from fl_core.job import Job
from fl_core.journal import read_journal
from fl_core.pool import NURSERY, Pool
from fl_core.runner import open_run, run
from tests.fl_core.swaps import swap_code
from tests.pipelines.small_jobs import SOFTMAX, small_job

NAMES = ("generate_job", "prepare_data", "select_workers", "train_worker", "aggregate_updates", "evaluate_model", "publish_model", "report")
GIVEN_BY_KFP = {"Output", "Artifact", "Model", "Metrics", "HTML", "List", "NamedTuple"}
WORKERS = ("worker-0", "worker-1")


@dataclass
class Fake:
    """Stands in for an artifact of any type: a path and metadata. It changes because a component fills it."""

    path: str
    metadata: dict[str, Any] = field(default_factory=dict)

    def log_metric(self, name: str, value: float) -> None:
        self.metadata[name] = value


def body(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(f"components.{name}"), name).python_func
    return function


@dataclass
class Hand:
    """Calls components by hand on one store, with a fresh fake for every artifact that they ask for."""

    folder: Path
    run: str = "run"
    manifest: str = ""
    artifacts: int = 0

    @property
    def store(self) -> str:
        return f"file://{self.folder / 'store'}"

    def call(self, name: str, **arguments: Any) -> tuple[Any, Fake]:
        """What the component gives back, and its first artifact."""
        fakes = {}
        for port, parameter in inspect.signature(body(name)).parameters.items():
            if port not in ("store", "run") and port not in arguments and parameter.annotation is not str:
                self.artifacts += 1
                fakes[port] = Fake(str(self.folder / f"artifact-{self.artifacts}"))
        if "manifest" in inspect.signature(body(name)).parameters:
            arguments["manifest"] = self.manifest
        given = body(name)(store=self.store, run=self.run, **arguments, **fakes)
        return given, next(iter(fakes.values()))

    def generate(self, job: Job, **more: str) -> tuple[Any, Fake]:
        told = {"overrides": "", "start_from": "", "seed": "", "fixed": json.dumps(fixed_in(job)), "occurrence": "7f3a", **more}
        (name, self.manifest), receipt = self.call("generate_job", job=job.bundle(), **told)
        return name, receipt

    def round(self, number: int) -> list[Any]:
        """What the tasks of a round give back, in order."""
        plan = self.call("select_workers", round=number)[0]
        replies = [self.call("train_worker", round=number, worker=worker, exchange=0)[0] for worker in WORKERS]
        state = self.call("aggregate_updates", round=number, replies=replies, exchange=0)[0]
        measured = [self.call("evaluate_model", round=number + 1, worker=worker)[1].metadata for worker in WORKERS]
        return [plan, *replies, state, measured]

    def prepare(self) -> None:
        for worker in WORKERS:
            self.call("prepare_data", worker=worker)
        for worker in WORKERS:
            self.call("evaluate_model", round=1, worker=worker)


@pytest.fixture
def hand(tmp_path: Path, nursery: str, monkeypatch: pytest.MonkeyPatch) -> Hand:
    monkeypatch.setenv(NURSERY, nursery)
    return Hand(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_component_is_thin_and_takes_all_it_needs_along(name: str) -> None:
    source = inspect.getsource(body(name))
    assert 9 <= len(source.splitlines()) <= 25
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    imported = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {str(getattr(node, "module", "")).partition(".")[0] for node in imported} <= {"fl_core", "pathlib"}
    bound = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)} | {alias.name for node in imported for alias in node.names}
    bound |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    read = {node.id for statement in function.body for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert read - bound - set(dir(builtins)) - GIVEN_BY_KFP == set()


def test_stages_called_by_hand_end_in_the_bits_of_the_process_runner(hand: Hand, pool: Pool) -> None:
    job = small_job(SOFTMAX, "rounds=2")
    name, receipt = hand.generate(job)
    assert (name, receipt.metadata["job"]) == ("run", job.digest)
    hand.prepare()
    first, again = hand.round(1), None
    hand.round(2)
    keys = open_run(f"{hand.store}/runs/run").store.list("")
    assert hand.generate(job)[0] == "run"
    hand.prepare()
    again = hand.round(1)
    assert open_run(f"{hand.store}/runs/run").store.list("") == keys, "a stage that is called again finds its work done"
    assert (again[0], again[-2:]) == (first[0], first[-2:])
    digest, model = hand.call("publish_model")
    hand.call("report")
    assert digest == run(job, out=hand.folder / "alone", pool=pool).digest
    assert model.metadata["rounds"] == 2


def test_receipts_are_small_and_hold_no_client(hand: Hand) -> None:
    hand.generate(small_job(SOFTMAX, "rounds=1"))
    card = hand.call("prepare_data", worker="worker-0")[1]
    hand.prepare()
    plan = hand.call("select_workers", round=1)[1]
    trained = [hand.call("train_worker", round=1, worker=worker, exchange=0)[1] for worker in WORKERS]
    state = hand.call("aggregate_updates", round=1, replies=["a", "b"], exchange=0)[1]
    for receipt in (card, plan, *trained, state):
        text = Path(receipt.path).read_text()
        assert json.loads(text) == receipt.metadata
        assert len(text) < 1000
        assert "client-" not in text
    assert (plan.metadata["clients"], state.metadata["clients"], state.metadata["replies"]) == (5, 5, ["a", "b"])
    assert sum(receipt.metadata["examples"] for receipt in trained) == state.metadata["examples"]


def test_a_stage_after_the_end_passes_through(hand: Hand) -> None:
    hand.generate(small_job(SOFTMAX, "rounds=1"))
    hand.prepare()
    hand.round(1)
    hand.round(2)
    hand.round(3)
    one = open_run(f"{hand.store}/runs/run")
    assert one.last_round() == 2
    passed = [(line["stage"], line["round"]) for line in read_journal(one) if line["event"] == "passed"]
    assert passed == [("train", 2)] * 2 + [("close", 2)] + [("evaluate", 3)] * 2 + [("select", 3)] + [("train", 3)] * 2 + [("close", 3)] + [("evaluate", 4)] * 2


def test_a_worker_without_clients_replies_without_a_training_process(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    hand.generate(small_job(SOFTMAX, "selection={name: 'made.py:only', client: client-0}"))
    hand.prepare()
    hand.call("select_workers", round=1)
    monkeypatch.setenv(NURSERY, str(hand.folder / "nobody"))
    receipt = hand.call("train_worker", round=1, worker="worker-1", exchange=0)[1]
    assert (receipt.metadata["clients"], receipt.metadata["examples"]) == (0, 0)


def test_an_empty_name_makes_a_run_named_after_job_and_occurrence(hand: Hand) -> None:
    hand.run = ""
    assert hand.generate(small_job(SOFTMAX))[0] == "softmax-7f3a"
    assert open_run(f"{hand.store}/runs/softmax-7f3a").job.name == "softmax"


def test_the_form_fills_in_overrides_seed_and_start(hand: Hand) -> None:
    hand.generate(small_job(SOFTMAX, "rounds=1"))
    hand.prepare()
    hand.round(1)
    start = str(hand.folder / "store" / "runs" / "run")
    hand.run = "next"
    hand.generate(small_job(SOFTMAX), overrides="quorum=0.5\n\noptimizer.learning_rate=0.2\n", seed="11", start_from=start)
    job = open_run(f"{hand.store}/runs/next").job
    assert (job.quorum, job.optimizer.options["learning_rate"], job.seed, job.start_from) == (0.5, 0.2, 11, start)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"overrides": "rounds=4"}, "rounds is 4; this pipeline was compiled for at most 3: lower it, or compile the job again with `fl compile`."),
        (
            {"overrides": "federation.workers=3"},
            "federation.workers is worker-0, worker-1, worker-2; this pipeline was compiled for worker-0, worker-1: ",
        ),
        ({"overrides": "rouns=2"}, "'rouns' is no key of a job; did you mean 'rounds'?"),
        ({"overrides": "rounds"}, "'--set rounds' is not of the form key.path=value."),
        ({"seed": "seven"}, "seed is 'seven'"),
        ({"overrides": "optimizer.name=SDG"}, "optimizer.name is 'SDG'"),
    ],
)
def test_what_is_wrong_in_the_form_ends_the_first_task_with_2(told: dict[str, str], sentence: str, hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        hand.generate(small_job(SOFTMAX), **told)
    errors = capsys.readouterr().err.splitlines()
    assert (ended.value.code, len(errors)) == (2, 1)
    assert errors[0].startswith(sentence)
    assert not (hand.folder / "store").exists()


def test_a_refusal_ends_its_task_with_3_and_says_who_was_missing(hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    hand.generate(small_job(SOFTMAX))
    hand.prepare()
    hand.call("select_workers", round=1)
    hand.call("train_worker", round=1, worker="worker-0", exchange=0)
    with pytest.raises(SystemExit) as ended:
        hand.call("aggregate_updates", round=1, replies=[], exchange=0)
    assert ended.value.code == 3
    told = capsys.readouterr().err
    assert told.startswith("Round 1 has 2 of 5 clients, below the quorum of 3; missing are client-")
    assert all(f"client-{i} (worker-1): its worker gave no reply" in told for i in (2, 3, 4))


def test_a_run_that_is_submitted_again_asks_those_who_failed_again(hand: Hand) -> None:
    job = small_job(SOFTMAX, "quorum=1.0", f"strategy={{name: 'made.py:fails_once', folder: '{hand.folder}'}}")
    hand.generate(job)
    hand.prepare()
    with pytest.raises(SystemExit, match="3"):
        hand.round(1)
    hand.generate(job)
    hand.prepare()
    hand.round(1)
    assert open_run(f"{hand.store}/runs/run").last_round() == 2


def test_a_run_goes_on_with_its_own_job_only(hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    hand.generate(small_job(SOFTMAX))
    with pytest.raises(SystemExit, match="2"):
        hand.generate(small_job(SOFTMAX, "seed=8"))
    assert "holds a run of another job; give this run another name." in capsys.readouterr().err


def test_a_model_is_not_published_before_the_job_is_done(hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    hand.generate(small_job(SOFTMAX))
    hand.prepare()
    with pytest.raises(SystemExit, match="2"):
        hand.call("publish_model")
    assert "has done 0 of 3 rounds" in capsys.readouterr().err


def swapped(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose code was swapped after its first task, as a worker with a private place of its own finds it."""
    monkeypatch.setattr("fl_core.stage.known_server_key", lambda private, place: "")
    hand.generate(small_job(SOFTMAX))
    return swap_code(hand.folder / "store" / "runs" / "run")


def test_a_task_runs_the_code_that_the_first_task_found_and_no_other(hand: Hand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    mark = swapped(hand, monkeypatch)
    with pytest.raises(SystemExit, match="3"):
        hand.call("prepare_data", worker="worker-0")
    assert "is not the one that was checked" in capsys.readouterr().err
    assert not mark.exists()


def test_a_task_that_was_not_told_the_manifest_would_run_swapped_code(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = swapped(hand, monkeypatch)
    hand.manifest = ""
    hand.call("prepare_data", worker="worker-0")
    assert mark.exists()
