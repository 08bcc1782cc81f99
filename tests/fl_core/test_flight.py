"""Who is in flight, however often any process dies; and what cannot run so, or shows that it does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fl_core import resume, run, scheduler, server
from fl_core.errors import InputError
from fl_core.flight import in_flight
from fl_core.fork import fork
from fl_core.generator import write_job
from fl_core.pool import Pool
from fl_core.run_folder import Run, state_key
from fl_core.stage import generate
from fl_core.status import status_of
from fl_core.store import FileStore
from fl_core.strategies.fed_buff import fed_buff
from fl_core.strategy import Exchange, Strategy, check_waits
from fl_core.summary import why_not_reproducible
from fl_core.types import Client, ClientUpdate, RoundState, Weights
from fl_core.verify import verify
from fl_core.worker import key_of, read_memory, train_part
from tests.fl_core.arriving import PEOPLE, STARTS, again, arrive, evaluated, federation, forge, round_of, starting, task_of
from tests.fl_core.harness import opener
from tests.jobs import tiny_job

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


# ---- what is refused and shown ----------------------------------------------------------------------------------------------------------------


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
    one = Run("run", tiny_job("strategy={name: fed_buff, arrivals: measured}"), FileStore(tmp_path / "run"), FileStore(tmp_path / "run.private"))
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
    assert [entry["standing"] for entry in found["workers"]] == [
        "has replied in round 2, and has yet to measure round 1", "has in flight: b since round 1",
    ]  # fmt: skip


def test_status_shows_whose_evaluations_are_waited_for_at_the_end() -> None:
    one = federation(rounds=3, workers=2)
    for round, arrivals in ((1, {"a": 1}), (2, {"a": 2}), (3, {"b": 1})):
        round_of(one, round, **arrivals)
    one.store.delete(state_key(2))  # forgotten before it was measured
    assert [entry["standing"] for entry in status_of(one)["workers"]] == ["is waited for: evaluation of 2 rounds, 3 to 4", "waits for the plan"]
    evaluated(one, 3, 0.5)
    assert status_of(one)["workers"][0]["standing"] == "is waited for: evaluation of round 4"
    evaluated(one, 4, 0.5)
    assert status_of(one)["workers"][0]["standing"] == "waits for the plan"
