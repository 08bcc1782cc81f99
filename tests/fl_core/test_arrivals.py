"""Rounds that close by who arrives first, by hand: the test chooses who arrives when."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fl_core import scheduler, server
from fl_core.codec import decode_tensors
from fl_core.errors import QuorumError
from fl_core.flight import flying, in_flight, tasks_in_flight
from fl_core.reply import NO_REPLY
from fl_core.run_folder import close_key, plan_key, reply_key
from fl_core.strategies.fed_buff import fed_buff
from fl_core.strategy import Draw
from fl_core.verify import verify
from tests.fl_core.arriving import PEOPLE, START, STARTS, arrive, federation, forge, reasons, round_of, starting
from tests.fl_core.harness import numbers, play, small_run

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
    simulated = small_run(replace(fed_buff(), select=lambda draw: arrivals[draw.round], round_seconds=None), PEOPLE, START)
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
