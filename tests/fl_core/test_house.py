"""An organisation's own copy of the job says which data its worker opens; a run that would take out more than the copy says is refused."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from fl_core import generator, live
from fl_core.codec import Record, decode_record
from fl_core.errors import FederationError, InputError, SignatureError
from fl_core.house import check_agreed, house_job
from fl_core.job import Job
from fl_core.pool import Pool
from fl_core.run_folder import Run, card_key
from fl_core.store import PRIVATE, FileStore
from tests.jobs import tiny_job


def table(path: Path, examples: int) -> str:
    """A file of so many examples, as a job names it."""
    x = np.arange(examples * 64, dtype=np.float32).reshape(examples, 64) % 17
    np.savez(path, x=x, y=np.arange(examples) % 10)
    return f"data={{name: npz, path: '{path}', test_share: 0.2, partition: {{name: iid, clients: 2}}}}"


def card_of(tmp_path: Path, nursery: str, run_job: Job, own: Job, worker: str = "worker-0") -> Record:
    """The card that the worker lays down in a run of `run_job` that it takes part in with its own copy."""
    place = FileStore(tmp_path / "run")
    generator.write_job(Run("run", run_job, place, FileStore(tmp_path / "server", PRIVATE)), keys="roster")
    with Pool(1, nursery) as pool, pytest.raises(FederationError, match="There was no plan of round 1"):
        live.work("run", place, FileStore(tmp_path / "house", PRIVATE), worker, pool, job=own, idle_seconds=0.01)
    return decode_record(place.get(card_key(worker)), "card")


@pytest.mark.parametrize("whose", ["the job's", "the worker's"])
def test_a_server_cannot_name_the_file_that_a_worker_opens(tmp_path: Path, nursery: str, whose: str) -> None:
    theirs, ours = table(tmp_path / "theirs.npz", 50), table(tmp_path / "ours.npz", 100)
    if whose == "the worker's":
        ours = f"federation.workers=[{{name: worker-0, {ours.replace('=', ': ', 1)}}}, {{name: worker-1}}]"
    card = card_of(tmp_path, nursery, tiny_job(theirs), tiny_job(theirs, ours))
    assert card["test"] == 20
    assert card["sizes"] == 40


def test_were_the_runs_job_to_rule_the_worker_would_open_what_the_server_names(tmp_path: Path, nursery: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "house_job", lambda run_job, own: run_job)
    theirs, ours = table(tmp_path / "theirs.npz", 50), table(tmp_path / "ours.npz", 100)
    assert card_of(tmp_path, nursery, tiny_job(theirs), tiny_job(ours))["test"] == 10


def test_the_start_is_the_organisations_own(tmp_path: Path) -> None:
    assert house_job(tiny_job("start_from='/theirs'"), tiny_job()).start_from == ""


def test_a_copy_that_says_the_same_leaves_the_runs_job_as_it_is() -> None:
    job = tiny_job()
    assert house_job(job, tiny_job()) is job
    assert house_job(job, tiny_job("rounds=9", "seed=8", "quorum=0.1")) is job


def test_own_data_that_do_not_fit_the_run_are_one_sentence() -> None:
    run_job = tiny_job("data.held_out=0.2", "evaluate.on=held_out")
    with pytest.raises(InputError, match=r"evaluate.on is held_out, but data.held_out is 0"):
        house_job(run_job, tiny_job())


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("strategy={name: median, batch_size: 32}", "strategy"), ("strategy.local_epochs=7", "strategy"), ("federation.parts=6", "federation.parts"),
        ("selection={name: uniform, clients_per_round: 1}", "selection"), ("optimizer.learning_rate=2.0", "optimizer"),
        ("data.held_out=0.5", "data.held_out"),
    ],
)  # fmt: skip
def test_a_run_that_takes_out_something_else_than_the_copy_says_is_refused(override: str, key: str) -> None:
    with pytest.raises(SignatureError, match=rf"^{key} is .* in the run's job and .* in the one pinned here, by which this house goes; review"):
        check_agreed(tiny_job(override), tiny_job(), "worker-0")


def test_evaluations_on_held_out_parts_are_agreed_on() -> None:
    own = tiny_job("data.held_out=0.2")
    with pytest.raises(SignatureError, match=r"^evaluate is "):
        check_agreed(tiny_job("data.held_out=0.2", "evaluate.on=both"), own, "worker-0")


def test_what_the_leader_decides_may_differ() -> None:
    others = ["rounds=9", "seed=8", "quorum=0.1", "stop_when={accuracy: 0.9}", "keep_updates=all"]
    check_agreed(tiny_job(*others), tiny_job(), "worker-0")


@pytest.mark.parametrize("is_pinned", [True, False])
def test_a_worker_may_pin_the_program_by_its_sha256(is_pinned: bool) -> None:
    run_job = tiny_job()
    pin = run_job.program_sha256 if is_pinned else "ab" * 32
    own = tiny_job(f"federation.workers=[{{name: worker-0, program_sha256: '{pin}'}}, {{name: worker-1}}]")
    check_agreed(run_job, own, "worker-1")
    with nullcontext() if is_pinned else pytest.raises(SignatureError, match="the one pinned here abababababababab…"):
        check_agreed(run_job, own, "worker-0")


@pytest.mark.parametrize(
    "override",
    [
        "strategy={name: 'subprocess:getoutput', cmd: 'true'}",
        "selection={name: 'subprocess:getoutput', cmd: 'true'}",
        "strategy={name: top_k, around: 'a.b:c'}",
    ],
)
def test_a_function_of_an_installed_module_is_pinned_with_the_program(override: str) -> None:
    """`{name: "subprocess:getoutput", cmd: …}` is a command of the server's at the worker."""
    with pytest.raises(SignatureError, match="The run's program has sha256"):
        check_agreed(tiny_job(override), tiny_job(), "worker-0")
    assert tiny_job("strategy=median").program_sha256 == tiny_job().program_sha256
