"""A federation survives its members: who fails is left out with a reason, who dies is tried again with the same bits, and the quorum decides."""

from dataclasses import replace
from pathlib import Path

import pytest

from fl_core import resume, run, scheduler, server, worker
from fl_core.errors import QuorumError
from fl_core.journal import read_journal
from fl_core.pool import Pool
from fl_core.reply import NO_REPLY
from fl_core.runner import begin, new_run, open_run
from fl_core.strategies.fed_avg import fed_avg
from tests.jobs import misbehaving_job, tiny_job


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> str:
    return run(tiny_job(), out=tmp_path_factory.mktemp("undisturbed") / "run", pool=pool).digest


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "raised RuntimeError: no data today second line"),
        ("nan", "'bias' holds NaN or Inf"),
        ("inf", "'bias' holds NaN or Inf"),
        ("shape", "its update of 'bias' has shape (1,), not (10,)"),
        ("lack", "its update lacks 'bias'"),
    ],
)
def test_a_client_that_fails_by_itself_is_left_out_with_its_reason(tmp_path: Path, pool: Pool, undisturbed: str, how: str, reason: str) -> None:
    result = run(misbehaving_job(tmp_path, how), out=tmp_path / "run", pool=pool)
    assert result.summary["failures"] == [{"round": 2, "client": "client-2", "worker": "worker-0", "reason": reason}]
    assert result.digest != undisturbed


def test_a_killed_process_is_tried_again_with_the_same_bits(tmp_path: Path, pool: Pool, undisturbed: str) -> None:
    result = run(misbehaving_job(tmp_path, "kill", times=2), out=tmp_path / "run", pool=pool)
    deaths = [event for event in read_journal(result.run) if event["event"] == "died"]
    assert [(death["client"], death["round"]) for death in deaths] == [("client-2", 2)] * 2
    assert result.summary["failures"] == []
    assert result.digest == undisturbed


def test_a_client_whose_retries_are_spent_is_left_out_and_the_others_stay(tmp_path: Path, pool: Pool) -> None:
    result = run(misbehaving_job(tmp_path, "kill", "retries=1"), out=tmp_path / "run", pool=pool)
    assert [(f["client"], f["reason"]) for f in result.summary["failures"]] == [("client-2", "its training process died (2 attempts)")]
    assert len(result.run.record("rounds/0002/close.json")["clients"]) == 5


def test_a_client_that_hangs_past_the_deadline_is_tried_again_then_left_out(tmp_path: Path, pool: Pool) -> None:
    result = run(misbehaving_job(tmp_path, "hang", "retries=1", "deadline_seconds=3"), out=tmp_path / "run", pool=pool)
    assert [(f["client"], f["reason"]) for f in result.summary["failures"]] == [("client-2", "gave no answer within 3 s (2 attempts)")]


def test_a_hang_that_ends_leaves_the_same_bits(tmp_path: Path, pool: Pool, undisturbed: str) -> None:
    result = run(misbehaving_job(tmp_path, "hang", "deadline_seconds=3", times=1), out=tmp_path / "run", pool=pool)
    assert result.digest == undisturbed


def test_below_the_quorum_the_run_stops_and_says_who_is_missing(tmp_path: Path, pool: Pool) -> None:
    job = misbehaving_job(tmp_path, "raise", client="client-1,client-2,client-4")
    with pytest.raises(QuorumError) as refused:
        run(job, out=tmp_path / "run", pool=pool)
    assert refused.value.exit_code == 3
    assert "Round 2 has 3 of 6 clients, below the quorum of 4; missing are client-1 (worker-0): raised RuntimeError" in str(refused.value)
    assert not (tmp_path / "run/rounds/0002/close.json").exists()


def test_a_resume_tries_those_again_who_were_missing_below_the_quorum(tmp_path: Path, pool: Pool, undisturbed: str) -> None:
    job = misbehaving_job(tmp_path, "raise", client="client-1,client-2,client-4", times=1)
    with pytest.raises(QuorumError):
        run(job, out=tmp_path / "run", pool=pool)
    result = resume(tmp_path / "run", pool=pool)
    assert result.digest == undisturbed
    assert result.summary["resumed_from"] == 1


def test_replies_that_had_arrived_are_not_trained_again(tmp_path: Path, pool: Pool, undisturbed: str) -> None:
    job = misbehaving_job(tmp_path, "raise", client="client-1,client-2", times=1)
    with pytest.raises(QuorumError):
        run(job.model_copy(update={"quorum": 1.0}), out=tmp_path / "run", pool=pool)
    resume(tmp_path / "run", pool=pool)
    events = [event for event in read_journal(open_run(tmp_path / "run")) if event.get("round") == 2 and event.get("stage") == "train"]
    trained = [(event["worker"], event["part"]) for event in events if event["event"] == "done"]
    found = [(event["worker"], event["part"]) for event in events if event["event"] == "found"]
    assert found, "no reply had arrived"
    assert all(trained.count(part) == 1 for part in found)


def test_a_round_for_which_nobody_is_drawn_is_legal(tmp_path: Path, pool: Pool) -> None:
    def nobody_in_round_two(draw):  # type: ignore[no-untyped-def]
        return [] if draw.round == 2 else draw.clients

    result = run(tiny_job(), strategy=replace(fed_avg(batch_size=32), select=nobody_in_round_two), out=tmp_path / "run", pool=pool)
    states = [result.run.state(round).weights["weight"] for round in (2, 3, 4)]
    assert (states[0] == states[1]).all()
    assert not (states[1] == states[2]).all()


def test_a_missing_reply_is_left_out_by_the_server(tmp_path: Path, pool: Pool) -> None:
    one = new_run(tiny_job("quorum=0.1"), out=tmp_path / "run")
    begin(one, pool)
    scheduler.plan(one, 1)
    pool.about(one.address)
    worker.take_part(one, 1, ["worker-0"], pool)
    record = server.close(one, 1)
    assert record is not None
    assert {(entry["worker"], entry["reason"]) for entry in record["left_out"]} == {("worker-1", NO_REPLY)}
