"""Rounds that close by who arrives first, by hand: the test chooses who arrives when, and any process may be another one the next moment."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from fl_core import resume, run, scheduler, server
from fl_core.codec import Record, decode_tensors, sha256
from fl_core.errors import InputError, QuorumError
from fl_core.flight import flying, in_flight, tasks_in_flight
from fl_core.fork import fork
from fl_core.generator import write_job
from fl_core.pool import Pool
from fl_core.reply import NO_REPLY
from fl_core.run_folder import Run, close_key, plan_key, reply_key, state_key
from fl_core.stage import generate
from fl_core.status import status_of
from fl_core.store import FileStore
from fl_core.strategies.fed_buff import fed_buff
from fl_core.strategy import Draw, Exchange, Strategy, check_waits
from fl_core.summary import why_not_reproducible
from fl_core.types import Client, ClientUpdate, RoundState, Task, Weights
from fl_core.verify import verify
from fl_core.worker import key_of, read_memory, train_part
from tests.fl_core.harness import JOB, numbers, opener, person, play, small_run, three
from tests.jobs import tiny_job

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3)), person("c", three(5, 0, -5)), person("d", three(7, 0, -7))]
START = three(0, 0, 0)
STARTS = {1: ["a", "b"], 2: ["a"], 3: ["c"], 4: ["a"], 5: ["d"]}
"""Two are in flight, one a round: b is slow."""


def starting(rounds: Mapping[int, Sequence[str]], buffer_size: int = 1, in_flight: int = 2, staleness_max: int = 10) -> Strategy:
    """FedBuff with measured arrivals whose starts are given."""
    strategy = fed_buff(buffer_size, in_flight, staleness_max, arrivals="measured")
    return replace(strategy, select=lambda draw: rounds.get(draw.round, []))


def federation(strategy: Strategy | None = None, workers: int = 1, **changes: object) -> Run:
    """A federation of four clients; its job names the strategy, because who verifies it knows no more."""
    one = strategy or starting(STARTS)
    named = {"name": "fed_buff", "arrivals": "measured", "buffer_size": one.buffer_size or 1, "staleness_max": one.staleness_max}
    return small_run(one, PEOPLE, START, workers, yaml.safe_dump({**yaml.safe_load(JOB), "strategy": named, "keep_updates": "all", **changes}))


def again(run: Run) -> Run:
    """The same run as another process sees it, which has read nothing yet."""
    return Run(run.name, run.job, run.store, run.private, run.given)


def task_of(run: Run, client: str, base: int) -> Task:
    plan = run.record(plan_key(base))
    (found,) = (task for task in tasks_in_flight(run, plan) if task.clients == (client,) and task.round == base)
    return found


def arrive(run: Run, client: str, base: int, people: Sequence[Client] = PEOPLE, leave_out: Mapping[str, str] | None = None) -> str:
    """The client that started in the round `base` hands in its reply."""
    task = task_of(run, client, base)
    train_part(run, task, opener(people), leave_out or {})
    return key_of(task)


def round_of(run: Run, round: int, **arrivals: int) -> Record:
    """A whole round in which these clients arrive, each from the round in which it started."""
    scheduler.plan(run, round)
    for client, base in arrivals.items():
        arrive(run, client, base)
    closed = server.close(run, round)
    assert closed is not None
    return closed


def reasons(closed: Record) -> dict[str, str]:
    return {entry["client"]: entry["reason"] for entry in closed["left_out"]}


# ---- by hand ----------------------------------------------------------------------------------------------------------------------------------


def test_a_slow_client_counts_in_the_round_that_it_arrives_in_discounted_there() -> None:
    # Round 1: a moves from 0 half the way to 1. Round 2: a again, from .5 half the way to 1. Round 3: b is there, who began at 0 and moved 1.5, two rounds ago.
    one = federation()
    assert round_of(one, 1, a=1)["bases"] == {"a": 1}
    assert numbers(one.state(2).weights) == [0.5, 0, -0.5]
    round_of(one, 2, a=2)
    assert numbers(one.state(3).weights) == [0.75, 0, -0.75]
    closed = round_of(one, 3, b=1)
    assert (closed["bases"], closed["clients"]["b"]["staleness"]) == ({"b": 1}, 2.0)
    assert list(closed["replies"]) == [reply_key(1, "train", "worker-0", 1)]
    assert numbers(one.state(4).weights) == pytest.approx([0.75 + 1.5 / math.sqrt(3), 0, -0.75 - 1.5 / math.sqrt(3)])


def test_plans_say_who_starts_and_who_is_in_flight_since_when() -> None:
    one = federation()
    round_of(one, 1, a=1)
    round_of(one, 2, a=2)
    plan = scheduler.plan(one, 3)
    assert (plan["workers"], plan["in_flight"], plan["clients"]) == ({"worker-0": [["c"]]}, {"b": 1}, 1)
    assert flying(plan) == {"b": 1, "c": 3}
    assert [(task.round, task.clients) for task in tasks_in_flight(one, plan)] == [(1, ("b",)), (3, ("c",))]


def test_the_same_arrivals_simulated_come_to_the_same_weights() -> None:
    measured = federation()
    round_of(measured, 1, a=1)
    round_of(measured, 2, a=2)
    round_of(measured, 3, b=1)
    arrivals = {1: {"a": 1}, 2: {"a": 2}, 3: {"b": 1}}
    simulated = small_run(replace(fed_buff(), select=lambda draw: arrivals[draw.round]), PEOPLE, START)
    for round in arrivals:
        play(simulated, PEOPLE, round=round)
    assert numbers(simulated.state(4).weights) == pytest.approx(numbers(measured.state(4).weights), rel=1e-6)
    assert {"in_flight", "bases"}.isdisjoint(simulated.record(plan_key(2)))
    assert "bases" not in simulated.record(close_key(3))


def test_a_round_takes_no_more_than_its_buffer_the_oldest_first_and_the_others_stay() -> None:
    one = federation(starting({1: ["a", "b", "c"], 2: ["d"]}, buffer_size=1, in_flight=3))
    scheduler.plan(one, 1)
    for client in ("c", "b"):
        arrive(one, client, 1)
    closed = server.close(one, 1)
    assert closed is not None
    assert (list(closed["clients"]), closed["left_out"]) == (["b"], [])
    scheduler.plan(one, 2)
    arrive(one, "d", 2)
    closed = server.close(one, 2)
    assert closed is not None
    assert closed["bases"] == {"c": 1}
    assert in_flight(one, 3) == {"a": 1, "d": 2}


def test_what_a_client_was_asked_is_what_its_reply_names_however_late() -> None:
    one = federation()
    round_of(one, 1, a=1)
    scheduler.plan(one, 2)
    _, reply = decode_tensors(one.store.get(arrive(one, "b", 1)), "b")
    assert (reply["round"], reply["plan"]) == (1, one.digest(plan_key(1)))


def test_who_is_too_old_for_the_next_round_is_dropped_and_another_starts() -> None:
    one = federation(starting(STARTS, staleness_max=1))
    assert round_of(one, 1, a=1)["left_out"] == []
    closed = round_of(one, 2, a=2)
    assert reasons(closed) == {"b": "it started from round 1 and would be 2 rounds old in the next; strategy.staleness_max is 1"}
    assert scheduler.plan(one, 3)["in_flight"] == {}
    assert verify(one.store).found == []


def test_starts_follow_from_the_seed_and_fill_what_is_free() -> None:
    names, strategy = [f"client-{number}" for number in range(9)], fed_buff(2, 5, arrivals="measured")

    def starts(round: int, busy: Sequence[str]) -> list[str]:
        return list(strategy.select(Draw(round, names, [1] * 9, np.random.default_rng(round), in_flight=busy)))

    first = starts(1, [])
    assert (len(first), starts(1, [])) == (5, first)
    later = starts(2, first[2:])
    assert len(later) == 2
    assert not set(later) & set(first[2:])
    assert starts(3, first) == []


# ---- what goes wrong --------------------------------------------------------------------------------------------------------------------------


def test_a_client_that_fails_frees_its_slot_with_the_reason_and_fills_no_buffer() -> None:
    one = federation()
    scheduler.plan(one, 1)
    arrive(one, "a", 1, leave_out={"a": "raised OSError: no data today"})
    arrive(one, "b", 1)
    closed = server.close(one, 1)
    assert closed is not None
    assert (list(closed["clients"]), reasons(closed)) == (["b"], {"a": "raised OSError: no data today"})
    assert in_flight(one, 2) == {}


def forge(run: Run, key: str, **changes: object) -> None:
    """Puts another reply in the place of one, signed by the worker itself."""
    tensors, record = decode_tensors(run.store.get(key), key)
    plain = {word: value for word, value in record.items() if word not in ("format", "tensors", "signature", "signer")}
    run.store.delete(key)
    run.put_tensors(key, {name: np.asarray(changes.get("tensor", value)) for name, value in tensors.items()}, {**plain, **changes.get("record", {})})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"record": {"plan": "0" * 64}}, "its reply is for another round"),
        ({"record": {"round": 2}}, "its reply is for another round"),
        ({"record": {"clients": {"d": {"weight": 1.0, "metrics": {}}}}}, "its reply is for other clients"),
        ({"record": {"form": "sum"}}, "its reply is for another round"),
        ({"tensor": np.full((1, 2), np.nan, np.float32)}, "a: its update of 'b' has shape (1, 2), not (1,)"),
    ],
)
def test_a_forged_reply_is_refused_and_the_next_takes_its_place(changes: dict[str, object], reason: str) -> None:
    one = federation()
    scheduler.plan(one, 1)
    forge(one, arrive(one, "a", 1), **changes)
    arrive(one, "b", 1)
    closed = server.close(one, 1)
    assert closed is not None
    assert (list(closed["clients"]), reasons(closed)) == (["b"], {"a": reason})
    assert verify(one.store).found == []


def test_everybody_counts_equally_whatever_a_reply_says() -> None:
    one = federation(starting({1: ["a", "b"]}, buffer_size=2))
    scheduler.plan(one, 1)
    forge(one, arrive(one, "a", 1), record={"clients": {"a": {"weight": 1e9, "metrics": {}}}})
    arrive(one, "b", 1)
    server.close(one, 1)
    assert numbers(one.state(2).weights) == [1, 0, -1]  # (.5 + 1.5) / 2


def test_a_reply_that_another_worker_signed_is_refused() -> None:
    one = federation(starting(STARTS), workers=4)
    scheduler.plan(one, 1)
    mine, other = arrive(one, "a", 1), arrive(one, "b", 1)
    data = one.store.get(other)
    one.store.delete(mine)
    one.store.put(mine, data)
    closed = server.close(one, 1)
    assert closed is not None
    assert reasons(closed)["a"].startswith(f"its reply was refused: '{mine}' is signed by 'worker-1', not by 'worker-0'")


def test_where_too_few_came_in_time_the_others_are_left_out_and_the_quorum_decides() -> None:
    strategy = starting({1: ["a", "b", "c"], 2: ["a"]}, buffer_size=2, in_flight=3)
    one = federation(strategy, quorum=0.5)
    closed = round_of(one, 1, c=1)
    assert (list(closed["clients"]), reasons(closed)) == (["c"], {"a": NO_REPLY, "b": NO_REPLY})
    assert scheduler.plan(one, 2)["in_flight"] == {}
    strict = federation(strategy, quorum=1.0)
    with pytest.raises(QuorumError, match=r"Round 1 has 1 of 2 clients, below the quorum of 2; missing are a \(worker-0\): its worker gave no reply"):
        round_of(strict, 1, c=1)
    assert not strict.store.exists(close_key(1))


def test_a_round_below_its_quorum_is_tried_again_by_those_who_failed() -> None:
    one = federation(starting(STARTS), quorum=1.0)
    scheduler.plan(one, 1)
    for client in ("a", "b"):
        arrive(one, client, 1, leave_out={client: "raised OSError"})
    with pytest.raises(QuorumError):
        server.close(one, 1)
    server.forget_failed_replies(one, 1)
    arrive(one, "b", 1)
    closed = server.close(one, 1)
    assert closed is not None
    assert list(closed["clients"]) == ["b"]


def test_who_failed_in_an_open_round_is_asked_again_though_it_started_in_an_earlier_one() -> None:
    one = federation()
    round_of(one, 1, a=1)
    scheduler.plan(one, 2)
    failed = arrive(one, "b", 1, leave_out={"b": "raised OSError"})
    server.forget_failed_replies(one, 2)
    assert not one.store.exists(failed)


# ---- any process may die ----------------------------------------------------------------------------------------------------------------------


def test_a_server_that_died_between_reply_and_close_counts_the_reply_once() -> None:
    one = federation()
    scheduler.plan(one, 1)
    arrive(one, "a", 1)
    assert list(server.close(again(one), 1)["clients"]) == ["a"]  # type: ignore[index]
    arrive(one, "b", 1)  # while nobody leads
    other = again(one)
    assert list(server.close(other, 1)["clients"]) == ["a"]  # type: ignore[index]
    assert scheduler.plan(other, 2)["in_flight"] == {"b": 1}
    arrive(other, "a", 2)
    assert server.close(again(one), 2)["bases"] == {"b": 1}  # type: ignore[index]
    assert in_flight(again(one), 3) == {"a": 2}
    assert verify(one.store).found == []


def test_a_server_that_died_between_close_and_state_makes_the_same_state() -> None:
    one = federation()
    round_of(one, 1, a=1)
    round_of(one, 2, a=2)
    round_of(one, 3, b=1)
    digest = one.digest(state_key(4))
    one.store.delete(state_key(4))
    other = again(one)
    server.close(other, 3)
    assert other.digest(state_key(4)) == digest


def remembering(until: int = 9) -> Strategy:
    """Each client remembers from which round it last started, up to a round."""

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        kept = {"round": np.array([state.round])} if state.round <= until else {}
        return ClientUpdate({name: value * 0 for name, value in state.weights.items()}, 1), kept

    strategy = starting({1: ["a", "b"], 2: ["a"], 3: ["a"], 4: ["b"]}, staleness_max=2)
    return replace(strategy, exchanges=(Exchange("train", train, form="list"),))


def test_a_clients_memory_counts_once_its_reply_is_accepted_however_late() -> None:
    one = federation(remembering())
    round_of(one, 1, a=1)
    scheduler.plan(one, 2)
    arrive(one, "b", 1)
    assert read_memory(one, "a", 2)["strategy.round"] == [1]
    assert "strategy.round" not in read_memory(one, "b", 2)
    server.close(one, 2)
    assert read_memory(again(one), "b", 3)["strategy.round"] == [1]


def test_what_a_client_wrote_for_a_reply_that_was_refused_never_counts() -> None:
    one = federation(remembering(until=1))
    scheduler.plan(one, 1)
    forge(one, arrive(one, "a", 1), record={"round": 2})
    arrive(one, "b", 1)
    server.close(one, 1)
    round_of(one, 2, a=2)
    assert read_memory(one, "a", 3) == {}


def test_replies_and_states_that_may_still_count_are_kept() -> None:
    one = federation(starting(STARTS, staleness_max=2), keep_updates="none", keep_states=100)
    for round in (1, 2):
        closed = round_of(one, round, a=round)
        server.forget(one, round)
    late = arrive(one, "b", 1)
    assert one.store.exists(state_key(1))
    assert one.store.exists(late)
    assert not any(one.store.exists(key) for key in closed["replies"])
    closed = round_of(one, 3)
    assert list(closed["replies"]) == [late]
    server.forget(one, 3)
    assert not one.store.exists(late)
    assert in_flight(one, 4) == {"c": 3}


def test_what_came_too_late_is_forgotten_once_nobody_can_want_it() -> None:
    one = federation(starting(STARTS, staleness_max=1), keep_updates="none")
    round_of(one, 1, a=1)
    late = key_of(task_of(one, "b", 1))
    round_of(one, 2, a=2)
    train_part(one, task_of(one, "b", 1), opener(PEOPLE), {})
    server.forget(one, 2)
    assert not one.store.exists(late)


# ---- what is refused, shown and verified ------------------------------------------------------------------------------------------------------


def test_options_and_federations_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"buffer_size is 3 and clients_in_flight 2; where arrivals are measured, a round is made of clients in flight"):
        fed_buff(3, 2, arrivals="measured")
    with pytest.raises(InputError, match=r"clients_in_flight is 5, but there are 4 clients; ask for less"):
        scheduler.plan(federation(fed_buff(2, 5, arrivals="measured")), 1)
    busy = federation(starting({1: ["a", "b"], 2: ["b"]}))
    round_of(busy, 1, a=1)
    with pytest.raises(InputError, match=r"starts 'b' in round 2, who is in flight; a client does one thing at a time"):
        scheduler.plan(busy, 2)


REFUSED = r"'fed_buff' measures who arrives when .* run it by `fl serve` and `fl work` or in the layout live"


def test_who_calls_the_stages_in_turn_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    job = tiny_job("strategy={name: fed_buff, arrivals: measured}")
    with pytest.raises(InputError, match=REFUSED):
        run(job, out=tmp_path / "run")
    with Pool(1) as pool, pytest.raises(InputError, match=REFUSED):
        generate(pool, str(tmp_path), "run", job.bundle())
    assert list(tmp_path.iterdir()) == []
    check_waits(fed_buff(), "fed_buff")


def test_a_run_with_measured_arrivals_is_neither_resumed_nor_forked_in_one_process(tmp_path: Path) -> None:
    one = Run("run", tiny_job("strategy={name: fed_buff, arrivals: measured}"), FileStore(tmp_path / "run"), FileStore(tmp_path / "private"))
    write_job(one, keys="roster")
    with pytest.raises(InputError, match=REFUSED):
        resume(tmp_path / "run")
    with pytest.raises(InputError, match=REFUSED):
        fork(tmp_path / "run", 1, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_summary_says_why_such_a_run_cannot_be_repeated() -> None:
    assert why_not_reproducible(federation()) == "arrivals: measured (the bits depend on who arrived when, as the close records say)"
    assert why_not_reproducible(federation(fed_buff())) is None


def test_status_shows_who_is_in_flight() -> None:
    one = federation(workers=2)
    round_of(one, 1, a=1)
    scheduler.plan(one, 2)
    arrive(one, "a", 2)
    found = status_of(one)
    assert found["in_flight"] == {"a": 2, "b": 1}
    assert [entry["standing"] for entry in found["workers"]] == ["has replied in round 2", "has in flight: b since round 1"]


@pytest.fixture
def closed_rounds() -> Run:
    one = federation()
    round_of(one, 1, a=1)
    round_of(one, 2, a=2)
    round_of(one, 3, b=1)
    return one


def test_a_good_run_is_merged_again_from_its_records(closed_rounds: Run) -> None:
    found = verify(closed_rounds.store)
    assert (found.found, found.replayed) == ([], [1, 2, 3])


def test_a_changed_byte_of_a_late_reply_is_located(closed_rounds: Run) -> None:
    key = next(iter(closed_rounds.record(close_key(3))["replies"]))
    data = bytearray(closed_rounds.store.get(key))
    data[-1] ^= 1
    closed_rounds.store.delete(key)
    closed_rounds.store.put(key, bytes(data))
    assert verify(closed_rounds.store).found == [f"'{key}' is not the reply that round 3 was closed with; it was changed."]


def rewrite(run: Run, key: str, **changes: object) -> None:
    """Another record in the place of one, signed by the server itself."""
    plain = {word: value for word, value in run.record(key).items() if word not in ("format", "signature", "signer")}
    run.store.delete(key)
    run.put(key, {**plain, **changes})


def test_a_server_that_counts_a_reply_twice_is_found(closed_rounds: Run) -> None:
    first = closed_rounds.record(close_key(1))
    rewrite(closed_rounds, close_key(3), replies=first["replies"], clients=first["clients"], bases=first["bases"])
    (key,) = first["replies"]
    assert f"'{close_key(3)}' accepts '{key}', which nobody in flight was to send." in verify(closed_rounds.store).found


def test_a_server_that_makes_a_stale_reply_fresh_is_found(closed_rounds: Run) -> None:
    rewrite(closed_rounds, close_key(3), bases={"b": 3})
    found = verify(closed_rounds.store).found
    assert f"'{close_key(3)}' lists other clients than its replies are of." in found
    assert "'rounds/0004/state.safetensors' is not what the replies of round 3 add up to." in found


def test_a_reply_to_another_plan_is_found_though_server_and_worker_agree(closed_rounds: Run) -> None:
    (key,) = closed_rounds.record(close_key(3))["replies"]
    forge(closed_rounds, key, record={"plan": "0" * 64})
    rewrite(closed_rounds, close_key(3), replies={key: sha256(closed_rounds.store.get(key))})
    assert f"'{key}' is not the reply of b to the plan of round 1." in verify(closed_rounds.store).found


def test_a_plan_that_conceals_who_is_in_flight_is_found(closed_rounds: Run) -> None:
    rewrite(closed_rounds, plan_key(3), in_flight={})
    assert f"'{plan_key(3)}' does not say who was in flight after round 2." in verify(closed_rounds.store).found


def test_a_plan_that_starts_somebody_twice_is_found(closed_rounds: Run) -> None:
    rewrite(closed_rounds, plan_key(3), workers={"worker-0": [["b"]]})
    assert f"'{plan_key(3)}' starts b anew, in flight since an earlier round." in verify(closed_rounds.store).found
