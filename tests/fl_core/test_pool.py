import os
import signal

import pytest

from fl_core.errors import FederationError, InputError, QuorumError, SignatureError, StoreError, TrainingError
from fl_core.pool import PROCESSES_MAX, START_SECONDS, Call, Died, Pool, _error
from tests.jobs import tiny_job


def pids(pool: Pool) -> list[int]:
    """The processes that wait for work."""
    return [trainer._pid for trainer in pool._idle]


def outcomes(pool: Pool, *calls: Call) -> list[object]:
    return [outcome for _, outcome in pool.run(calls)]


@pytest.fixture
def about(pool: Pool) -> Pool:
    """The warm pool, about a job that knows everything but a store."""
    pool.about({"bundle": tiny_job().bundle()})
    return pool


def test_a_process_answers_and_waits_for_more(about: Pool) -> None:
    assert outcomes(about, Call("ping", {})) == [{}]
    before = pids(about)
    assert outcomes(about, Call("ping", {})) == [{}]
    assert pids(about) == before


def test_a_process_that_died_while_idle_is_replaced(about: Pool) -> None:
    assert outcomes(about, *[Call("ping", {})] * 2) == [{}, {}]
    before = pids(about)
    for trainer in about._idle:
        os.kill(trainer._pid, signal.SIGKILL)
        assert trainer.connection.poll(10), "it is still there"
    assert outcomes(about, *[Call("ping", {})] * 3) == [{}, {}, {}]
    assert not set(pids(about)) & set(before)


def test_no_more_processes_run_than_were_asked_for(about: Pool) -> None:
    assert len(outcomes(about, *[Call("ping", {})] * 7)) == 7
    assert len(pids(about)) <= about.processes == 2


def test_every_call_comes_back_with_its_own_outcome(about: Pool) -> None:
    calls = [Call("card", {"worker": f"worker-{i}"}) for i in range(2)]
    found = {call.arguments["worker"]: outcome for call, outcome in about.run(calls)}
    assert {worker: outcome["worker"] for worker, outcome in found.items() if isinstance(outcome, dict)} == {"worker-0": "worker-0", "worker-1": "worker-1"}


def test_what_a_process_refuses_comes_back_as_the_same_kind_of_error(about: Pool) -> None:
    (outcome,) = outcomes(about, Call("card", {"worker": "worker-7"}))
    assert isinstance(outcome, InputError)
    assert str(outcome) == "The federation has no worker 'worker-7'; did you mean 'worker-1'?"


@pytest.mark.parametrize("kind", [InputError, QuorumError, SignatureError, StoreError, TrainingError, FederationError])
def test_every_kind_of_error_crosses_the_socket(kind: type[FederationError]) -> None:
    error = _error(kind.__name__, "it is so")
    assert (type(error), str(error), error.exit_code) == (kind, "it is so", kind.exit_code)


def test_what_nobody_foresaw_comes_back_as_an_error_too_and_the_process_lives(about: Pool) -> None:
    (outcome,) = outcomes(about, Call("card", {"nobody": "expects this"}))
    assert type(outcome) is FederationError
    assert str(outcome).startswith("TypeError: ")
    assert outcomes(about, Call("ping", {})) == [{}]


def test_a_process_that_gives_no_answer_in_time_is_killed_and_another_takes_its_place(pool: Pool) -> None:
    pool.about({"bundle": tiny_job("seed=99").bundle()})
    (outcome,) = outcomes(pool, Call("card", {"worker": "worker-0"}, deadline_seconds=-START_SECONDS))
    assert outcome == Died("gave no answer within -120 s", None)
    assert outcomes(pool, Call("ping", {})) == [{}]


def test_a_pool_has_at_least_one_process() -> None:
    for count in (0, -3):
        with pytest.raises(InputError, match=f"processes is {count}; a pool has at least 1"):
            Pool(count)


def test_a_pool_has_a_process_a_core_and_not_too_many() -> None:
    assert Pool().processes == len(os.sched_getaffinity(0))
    assert Pool(10**6).processes == PROCESSES_MAX


def test_a_shared_nursery_takes_no_python_objects() -> None:
    with pytest.raises(InputError, match="A pool on a shared nursery takes no Python objects"):
        Pool(1, nursery="/nowhere").about({}, {"strategy": 1})


def test_a_nursery_that_is_not_there_is_said_so() -> None:
    pool = Pool(1, nursery="/nowhere")
    pool.about({})
    with pytest.raises(TrainingError, match="No training process could be started"):
        list(pool.run([Call("ping", {})]))
