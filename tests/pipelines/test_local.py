"""The subprocess runner: the same bits as in one process, one executed task per stage, round and worker, and what happens when a stage fails."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fl_core.errors import InputError, QuorumError, TrainingError
from fl_core.job import Job, parse_job
from fl_core.journal import read_journal
from fl_core.pool import Pool
from fl_core.run_folder import Run, plan_key
from fl_core.runner import Progress, Result, open_run, resume, run
from pipelines.local import _modules, run_local
from tests.pipelines.small_jobs import CNN, GRU, SOFTMAX, small_job


def executed(one: Run, event: str = "stage") -> Counter[tuple[str, int, str]]:
    """How often each stage was carried out, by stage, round and worker, as the run's journal tells."""
    return Counter((line["stage"], line["round"], line.get("worker", "")) for line in read_journal(one) if line["event"] == event)


def receipts(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob(name))]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, pool: Pool, nursery: str) -> tuple[Result, Result, list[Progress]]:
    """The softmax job, trained in one process and as a pipeline, and what the pipeline told of its rounds."""
    folder, told = tmp_path_factory.mktemp("both"), list[Progress]()
    alone = run(small_job(SOFTMAX), out=folder / "process", pool=pool)
    return alone, run_local(small_job(SOFTMAX), out=folder / "pipeline", nursery=nursery, on_round=told.append), told


def test_a_softmax_ends_in_the_same_bits(both: tuple[Result, Result, list[Progress]]) -> None:
    alone, piped, _ = both
    assert piped.digest == alone.digest
    assert piped.metrics == alone.metrics


def test_every_stage_is_one_task_per_round_and_worker(both: tuple[Result, Result, list[Progress]]) -> None:
    workers = ("worker-0", "worker-1")
    expected = {("generate", 0, ""), ("publish", 0, ""), ("report", 0, ""), *(("prepare", 0, worker) for worker in workers)}
    for round in (1, 2, 3):
        expected |= {("select", round, ""), ("close", round, ""), *(("train", round, worker) for worker in workers)}
    expected |= {("evaluate", round, worker) for round in (1, 2, 3, 4) for worker in workers}
    assert executed(both[1].run) == Counter(expected)
    assert not executed(both[1].run, "passed")


def test_each_stage_is_a_process_of_its_own(both: tuple[Result, Result, list[Progress]]) -> None:
    lines = [line for line in read_journal(both[1].run) if line["event"] == "stage"]
    assert len({line["pid"] for line in lines}) == len(lines)


def test_both_runners_give_the_same_summary(both: tuple[Result, Result, list[Progress]]) -> None:
    alone, piped, _ = both
    assert set(piped.summary) == set(alone.summary)
    assert (alone.summary["runner"], piped.summary["runner"]) == ("process", "subprocess")
    assert piped.summary["examples"] == alone.summary["examples"]
    assert piped.summary["numerics"] == alone.summary["numerics"]


def test_every_round_is_told_once_in_order(both: tuple[Result, Result, list[Progress]]) -> None:
    told = both[2]
    assert [progress.round for progress in told] == [1, 2, 3]
    assert told[-1].metrics["accuracy"] == both[1].metrics["accuracy"]


def test_receipts_tell_digest_examples_and_clients(both: tuple[Result, Result, list[Progress]]) -> None:
    piped = both[1].run
    folder = Path(piped.store.uri.removeprefix("file://") + ".private/pipeline/artifacts")
    states = receipts(folder, "state")
    assert {state["digest"] for state in states} == {piped.digest("rounds/0002/state.safetensors"), piped.digest("rounds/0003/state.safetensors")} | {
        piped.digest("rounds/0004/state.safetensors")
    }
    assert all(state["clients"] == 5 and len(state["replies"]) == 2 for state in states)  # type: ignore[arg-type]
    trained = receipts(folder, "receipt")
    assert sum(int(str(one["examples"])) for one in trained if "worker" in one) == both[1].summary["examples"]
    assert '"clients"' not in "".join(path.read_text() for path in folder.rglob("card"))


@pytest.mark.parametrize(("text", "rounds_a_run"), [(CNN, 2), (GRU, 10)], ids=["cnn with batch-norm and dropout, two pipelines", "gru"])
def test_other_models_end_in_the_same_bits(text: str, rounds_a_run: int, tmp_path: Path, pool: Pool, nursery: str) -> None:
    piped = run_local(small_job(text), out=tmp_path / "pipeline", nursery=nursery, rounds_a_run=rounds_a_run)
    assert piped.digest == run(small_job(text), out=tmp_path / "process", pool=pool).digest
    counted = executed(piped.run)
    assert set(counted.values()) == {1}
    assert [key for key in counted if key[0] == "train"] == [("train", round, "worker-0") for round in (1, 2, 3)]


def test_asynchronous_rounds_end_in_the_same_bits_in_two_pipelines(tmp_path: Path, pool: Pool, nursery: str) -> None:
    strategy = "strategy={name: fed_buff, clients_in_flight: 3, buffer_size: 2, batch_size: 16}"
    job = small_job(SOFTMAX, strategy, "evaluate={on: test, every_rounds: 3}", "federation.workers=1")
    piped = run_local(job, out=tmp_path / "pipeline", nursery=nursery, rounds_a_run=2)
    assert any("bases" in piped.run.record(plan_key(round)) for round in (1, 2, 3))
    assert piped.digest == run(job, out=tmp_path / "process", pool=pool).digest


def test_stop_when_fires_in_the_middle_of_a_pipeline(tmp_path: Path, pool: Pool, nursery: str) -> None:
    free = run(small_job(SOFTMAX, "evaluate={on: test}", "federation.workers=1"), out=tmp_path / "free", pool=pool)
    goal = json.loads(bytes(free.run.store.get("metrics.jsonl")).splitlines()[1])["metrics"]["loss"]
    job = small_job(SOFTMAX, f"stop_when={{loss: {goal}}}", "evaluate={on: test}", "federation.workers=1")
    alone = run(job, out=tmp_path / "process", pool=pool)
    piped = run_local(job, out=tmp_path / "pipeline", nursery=nursery, rounds_a_run=2)
    assert alone.summary["rounds"] == piped.summary["rounds"] == 1
    assert piped.digest == alone.digest
    assert not [key for key in executed(piped.run) if key[0] in ("train", "close") and key[1] > 1]
    assert {key[:2] for key in executed(piped.run, "passed")} == {("train", 2), ("close", 2), ("evaluate", 3), ("evaluate", 4)}, "no third round is begun"


def test_a_killed_stage_fails_the_run_and_resume_ends_in_the_same_bits(tmp_path: Path, pool: Pool, nursery: str) -> None:
    def killed(folder: Path) -> Job:
        folder.mkdir(exist_ok=True)
        return small_job(SOFTMAX, f"selection={{name: 'made.py:killed_once', folder: '{folder}'}}", "evaluate={on: test}")

    with pytest.raises(TrainingError, match="go on with `fl resume`"):
        run_local(killed(tmp_path / "marks"), out=tmp_path / "pipeline", nursery=nursery)
    assert open_run(tmp_path / "pipeline").last_round() == 2
    resumed = resume(tmp_path / "pipeline", pool=pool)
    assert resumed.summary["resumed_from"] == 1
    undisturbed = run(small_job(SOFTMAX, "evaluate={on: test}"), out=tmp_path / "undisturbed", pool=pool)
    assert resumed.digest == undisturbed.digest


def test_what_a_stage_refuses_is_what_the_runner_raises(tmp_path: Path, nursery: str) -> None:
    job = small_job(SOFTMAX, "quorum=1.0", "evaluate={on: test}", "federation.workers=1", "program={name: 'bad.py:program'}")
    job = job.model_copy(update={"code": {**job.code, "bad.py": FAILING}})
    with pytest.raises(QuorumError, match=r"Round 1 has 0 of 5 clients.*out of paper"):
        run_local(job, out=tmp_path / "run", nursery=nursery)
    assert not open_run(tmp_path / "run").store.exists("summary.json")


def test_what_runs_the_pipelines_ends_with_whoever_started_it(tmp_path: Path) -> None:
    told = {"bundle": small_job(SOFTMAX).bundle(), "run": f"file://{tmp_path}/run", "store": "", "rounds_a_run": 10}
    words = [sys.executable, "-m", "pipelines.local_child", str(tmp_path / "artifacts")]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
    child.communicate(json.dumps(told).encode() + b"\n", timeout=120)
    assert child.returncode == -signal.SIGKILL


def test_wrong_input_is_told_and_leaves_nothing(tmp_path: Path, nursery: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"optimizer\.name is 'SDG'"):
        run_local(small_job(SOFTMAX, "optimizer.name=SDG"), out=tmp_path / "run", nursery=nursery)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr().out == ""


FAILING = """
from fl_core.program import Program
from fl_core.programs import logistic

good = logistic.program(features=4, classes=3)

def loss(net, batch):
    if net.training and len(batch[1]) > 2:  # more than a rehearsal tries
        raise RuntimeError("out of paper")
    return good.loss(net, batch)

program = Program(good.model, loss, metrics=good.metrics)
"""


def test_what_is_imported_ahead_is_what_the_workers_open() -> None:
    job = parse_job("{format: 1, name: a, program: digits, rounds: 1, federation: {workers: [{name: a, data: digits}, {name: b, data: csv}]}}")
    assert _modules(job) == ["fl_core.datasets.csv", "fl_core.datasets.digits", "fl_core.programs.digits"]
