"""FedBuff by hand: who is done when, what staleness costs, what is refused, and the same bits after a kill, in a fork and on any processes."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fl_core import resume, run, scheduler, server
from fl_core.codec import decode_tensors, encode_state
from fl_core.errors import InputError, SignatureError
from fl_core.fork import fork
from fl_core.job import Job
from fl_core.pool import Pool
from fl_core.run_folder import Run, close_key, plan_key, reply_key, state_key
from fl_core.runner import Result
from fl_core.store import FileStore
from fl_core.strategies.fed_buff import Flights, fed_buff
from fl_core.strategy import Draw, Strategy
from fl_core.types import RoundState
from fl_core.verify import verify
from fl_core.worker import train_part
from tests.fl_core.harness import numbers, opener, person, play, small_run, tasks, three
from tests.jobs import tiny_job

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3)), person("c", three(5, 0, -5))]
START = three(0, 0, 0)
STALE = {1: {"a": 1}, 2: {"a": 2, "b": 1}}


def arriving(rounds: Mapping[int, Mapping[str, int]], staleness_max: int = 10, **options: float) -> Strategy:
    """FedBuff whose arrivals are given, by no devices."""
    return replace(fed_buff(staleness_max=staleness_max, **options), select=lambda draw: rounds[draw.round], round_seconds=None)  # type: ignore[arg-type]


def flights(seconds: Sequence[float], in_flight: int, buffer_size: int, staleness_max: int = 100) -> Flights:
    """Flights of clients a, b, … of the given seconds; the first that is free begins next."""
    draw = Draw(1, "abcdefgh"[: len(seconds)], list(range(len(seconds))), np.random.default_rng())
    played = Flights(draw, lambda name, place: seconds[place], in_flight, buffer_size, staleness_max)
    played._free = lambda busy: min(set(range(len(seconds))) - busy)  # type: ignore[method-assign]
    return played


# ---- by hand ----------------------------------------------------------------------------------------------------------------------------------


def test_two_rounds_by_hand() -> None:
    # Round 1: a moves half the way to 1: 0.5. Round 2: a moves half the way from 0.5 to 1: 0.25; b, who began from 0, half the way to 3: 1.5,
    # of which 1 / sqrt(2) counts, for it is one round old. Their sum is divided by 2, the number of clients.
    one = small_run(arriving(STALE), PEOPLE, START)
    assert numbers(play(one, PEOPLE).weights) == [0.5, 0, -0.5]
    step = (0.25 + 1.5 / math.sqrt(2)) / 2
    assert numbers(play(one, PEOPLE, round=2).weights) == pytest.approx([0.5 + step, 0, -0.5 - step])
    assert {client: figures["staleness"] for client, figures in one.record(close_key(2))["clients"].items()} == {"a": 0, "b": 1}


def test_the_servers_learning_rate_multiplies_the_step() -> None:
    one = small_run(arriving(STALE, server_learning_rate=2.0), PEOPLE, START)
    assert numbers(play(one, PEOPLE).weights) == [1, 0, -1]


def test_workers_and_parts_do_not_change_the_bits_of_a_stale_round() -> None:
    together, apart = small_run(arriving(STALE), PEOPLE, START), small_run(arriving(STALE), PEOPLE, START, workers=3)
    for one in (together, apart):
        play(one, PEOPLE)
    assert numbers(play(together, PEOPLE, round=2).weights) == numbers(play(apart, PEOPLE, round=2).weights)


def test_nobody_waits_for_the_slow_who_arrive_when_they_are_done() -> None:
    # a and b begin at 0. a is done at 1, then c begins, done at 3: round 1. a begins at 3, done at 4; c at 4, done at 6: round 2. a and c again,
    # at 7 and 9: round 3. a begins at 9; at 10 b is done, which was there first, and then a: round 4.
    played = flights([1, 10, 2, 2], in_flight=2, buffer_size=2)
    assert [played.arrivals(round) for round in (1, 2, 3, 4)] == [{"a": 1, "c": 1}, {"a": 2, "c": 2}, {"a": 3, "c": 3}, {"b": 1, "a": 4}]
    assert [played.ends_at(round) for round in (1, 2, 3, 4)] == [3, 6, 9, 10]


def test_who_is_too_late_does_not_fill_the_buffer() -> None:
    # As above, but b, 3 rounds old in round 4, is too late: c, who begins in its place at 10, is done at 12 and fills the buffer.
    played = flights([1, 10, 2, 2], in_flight=2, buffer_size=2, staleness_max=2)
    assert played.arrivals(4) == {"b": 1, "a": 4, "c": 4}


def test_a_process_that_plays_from_the_beginning_comes_to_the_same() -> None:
    names = [f"client-{number:02d}" for number in range(30)]

    def arrivals(strategy: Strategy, round: int, seed: int = 5) -> dict[str, int]:
        return dict(strategy.select(Draw(round, names, [10] * 30, np.random.default_rng(round), seed=seed)))

    kept, options = fed_buff(4, 8), {"buffer_size": 4, "clients_in_flight": 8}
    in_turn = [arrivals(kept, round) for round in range(1, 21)]
    assert all(arrivals(fed_buff(**options), round) == in_turn[round - 1] for round in (20, 7, 1))
    assert arrivals(fed_buff(**options), 20, seed=6) != in_turn[19]
    assert all(len(found) == 4 for found in in_turn)
    assert max(20 - base for base in in_turn[19].values()) > 0


# ---- what a plan says, and what is refused ----------------------------------------------------------------------------------------------------


def test_a_plan_names_earlier_states_by_digest_and_a_reply_names_them_too() -> None:
    one = small_run(arriving(STALE), PEOPLE, START, workers=3)
    play(one, PEOPLE)
    play(one, PEOPLE, round=2)
    plan = one.record(plan_key(2))
    assert (plan["bases"], plan["states"]) == ({"b": 1}, {"1": one.digest(state_key(1))})
    assert decode_tensors(one.store.get(reply_key(2, "train", "worker-1", 0)), "b")[1]["states"] == plan["states"]
    assert "states" not in decode_tensors(one.store.get(reply_key(2, "train", "worker-0", 0)), "a")[1]
    assert {"bases", "states", "late"}.isdisjoint(one.record(plan_key(1)))


def test_who_is_late_is_left_out_and_said_so() -> None:
    one = small_run(arriving({1: {"a": 1}, 2: {"a": 2}, 3: {"a": 3, "b": 1}}, staleness_max=1), PEOPLE, START)
    for round in (1, 2, 3):
        play(one, PEOPLE, round=round)
    assert (one.record(plan_key(3))["late"], one.record(plan_key(3))["clients"]) == ({"b": 1}, 1)
    reason = "it started 2 rounds ago, from round 1; strategy.staleness_max is 1"
    assert one.record(close_key(3))["left_out"] == [{"client": "b", "worker": "worker-0", "reason": reason}]
    assert list(one.record(close_key(3))["clients"]) == ["a"]


def half_done() -> Run:
    """Round 2 is planned, and worker-1, which holds b, is to train it from the state of round 1."""
    one = small_run(arriving(STALE), PEOPLE, START, workers=3)
    play(one, PEOPLE)
    scheduler.plan(one, 2)
    return one


def test_a_worker_refuses_a_swapped_earlier_state() -> None:
    one = half_done()
    again = Run(one.name, one.job, one.store, one.private, one.given)  # another process, which has read nothing yet
    one.store.delete(state_key(1))
    one.store.put(state_key(1), encode_state(RoundState(1, three(9, 9, 9))))
    (task,) = (task for task in tasks(again, 2) if task.worker == "worker-1")
    with pytest.raises(SignatureError, match=r"'rounds/0001/state.safetensors' is not the state that the plan of round 1 names; it was swapped"):
        train_part(again, task, opener(PEOPLE), {})


@pytest.mark.parametrize("states", [{}, {"1": "0" * 64}, {"2": "0" * 64}])
def test_a_reply_from_another_state_is_refused(states: dict[str, str]) -> None:
    one = half_done()
    for task in tasks(one, 2):
        train_part(one, task, opener(PEOPLE), {})
    key = reply_key(2, "train", "worker-1", 0)
    tensors, reply = decode_tensors(one.store.get(key), key)
    one.store.delete(key)
    one.put_tensors(key, tensors, {**{word: value for word, value in reply.items() if word not in ("signature", "signer")}, "states": states})
    closed = server.close(one, 2)
    assert closed is not None
    assert [(entry["client"], entry["reason"]) for entry in closed["left_out"]] == [("b", "its reply starts from other states than the plan names")]


def test_a_state_that_is_not_there_cannot_be_started_from() -> None:
    ahead = small_run(arriving({1: {"a": 2}}), PEOPLE, START)
    with pytest.raises(InputError, match=r"starts 'a' in round 1 from the state of round 2; there is none yet"):
        scheduler.plan(ahead, 1)
    gone = small_run(arriving(STALE), PEOPLE, START)
    play(gone, PEOPLE)
    gone.store.delete(state_key(1))
    with pytest.raises(InputError, match=r"Clients of round 2 start from the state of round 1, which was not kept; a job with keep_states: all keeps it"):
        scheduler.plan(gone, 2)


def test_too_few_clients_another_selection_and_bad_options_are_refused() -> None:
    with pytest.raises(InputError, match=r"clients_in_flight and strategy.buffer_size come to 5, but there are 3 clients"):
        scheduler.plan(small_run(fed_buff(2, 3), PEOPLE, START), 1)
    with pytest.raises(InputError, match=r"selection is 'uniform', but the strategy 'fed_buff' says itself who arrives when; leave the selection out"):
        run(job("selection={name: uniform, clients_per_round: 2}"), out="/nowhere")
    with pytest.raises(ValueError, match=r"buffer_size is 0; it is at least 1"):
        fed_buff(buffer_size=0)


def test_states_that_may_still_be_started_from_are_kept() -> None:
    rounds = {number: {"a": number} for number in range(1, 8)}
    one = small_run(arriving(rounds, staleness_max=2), PEOPLE, START, job=JOB_OF_FEW_STATES)
    for round in rounds:
        play(one, PEOPLE, round=round)
        server.forget(one, round)
    # After round 7 the newest state is 8; a client of round 8 may begin from 6 on, and 5 goes next.
    assert [number for number in range(1, 9) if one.store.exists(state_key(number))] == [1, 5, 6, 7, 8]


JOB_OF_FEW_STATES = "{format: 1, name: small, program: fl_core.programs.digits:program, data: digits, rounds: 9, quorum: 0, keep_states: 100}"


# ---- real runs --------------------------------------------------------------------------------------------------------------------------------


def job(*overrides: str) -> Job:
    """Six clients of unequal size, three of them in flight, two a round; one that falls behind by more than two rounds is dropped."""
    strategy = "strategy={name: fed_buff, clients_in_flight: 3, buffer_size: 2, staleness_max: 2, batch_size: 32, devices: {spread: 4, seed: 2}}"
    return tiny_job(strategy, "rounds=5", "optimizer.learning_rate=0.1", "keep_states=all", "keep_updates=all", *overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Result:
    return run(job(), out=tmp_path_factory.mktemp("fed_buff") / "run", pool=pool)


def folder_of(result: Result) -> Path:
    return Path(result.run.store.uri.removeprefix("file://"))


def test_a_run_has_stale_and_late_clients_and_verifies(finished: Result) -> None:
    plans = [finished.run.record(plan_key(round)) for round in range(1, 6)]
    assert {plan["round"] - base for plan in plans for base in plan.get("bases", {}).values()} >= {1, 2}
    assert [entry["client"] for entry in finished.summary["failures"]] == [client for plan in plans for client in plan.get("late", {})] != []
    assert finished.summary["reproducible"] is True
    found = verify(finished.run.store)
    assert (found.found, found.replayed) == ([], [1, 2, 3, 4, 5])


def test_workers_and_parts_end_in_the_same_bits(finished: Result, pool: Pool, tmp_path: Path) -> None:
    assert run(job("federation={workers: 3, parts: 2}"), out=tmp_path / "run", pool=pool).digest == finished.digest


def test_a_run_that_was_killed_in_its_last_round_goes_on_to_the_same_bits(finished: Result, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(finished)
    shutil.copytree(folder, tmp_path / "run")
    shutil.copytree(folder.with_name("run.private"), tmp_path / "run.private")
    shutil.rmtree(tmp_path / "run/rounds/0006")
    one_reply = next(iter(finished.run.record(close_key(5))["replies"]))
    for key in (close_key(5), one_reply, "summary.json", "metrics.jsonl", "model.safetensors", "report.html"):
        (tmp_path / "run" / key).unlink()
    assert resume(tmp_path / "run", pool=pool).digest == finished.digest
    assert verify(FileStore(tmp_path / "run")).found == []


def test_a_fork_goes_on_to_the_same_bits(finished: Result, pool: Pool, tmp_path: Path) -> None:
    new = fork(folder_of(finished), 3, tmp_path / "new")
    assert not new.store.exists(plan_key(3))
    assert resume(tmp_path / "new", pool=pool).digest == finished.digest
    assert verify(FileStore(tmp_path / "new")).found == []


def test_a_fork_without_the_states_that_are_in_flight_is_refused(finished: Result, pool: Pool, tmp_path: Path) -> None:
    base = min(finished.run.record(plan_key(5))["bases"].values())
    new = fork(folder_of(finished), 5, tmp_path / "new")
    new.store.delete(state_key(base))
    with pytest.raises(InputError, match=rf"Clients of round 5 start from the state of round {base}, which was not kept"):
        resume(tmp_path / "new", pool=pool)


def test_a_plan_that_names_another_earlier_state_is_found(finished: Result, tmp_path: Path) -> None:
    new = fork(folder_of(finished), 5, tmp_path / "new")
    scheduler.plan(new, 5)
    plain = {word: value for word, value in new.record(plan_key(5)).items() if word not in ("signature", "signer")}
    base = min(plain["states"])
    new.store.delete(plan_key(5))
    new.put(plan_key(5), {**plain, "states": {**plain["states"], base: "0" * 64}})
    assert verify(FileStore(tmp_path / "new")).found == [
        f"'{plan_key(5)}' starts clients from another state of round {base} than '{plan_key(int(base))}' names."
    ]  # fmt: skip
