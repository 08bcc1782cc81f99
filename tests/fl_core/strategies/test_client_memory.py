"""Every strategy whose clients remember: memory becomes theirs only with the round's close record, and follows the client, not the worker."""

from collections.abc import Callable

import pytest

from fl_core import scheduler, server
from fl_core.codec import digest_weights
from fl_core.run_folder import plan_key
from fl_core.strategies.ditto import ditto
from fl_core.strategies.fed_dyn import fed_dyn
from fl_core.strategies.fed_per import fed_per
from fl_core.strategies.local_fine_tuning import local_fine_tuning
from fl_core.strategies.scaffold import scaffold
from fl_core.strategies.top_k import top_k
from fl_core.strategy import Strategy
from fl_core.types import Weights
from fl_core.worker import read_memory, train_part
from tests.fl_core.harness import opener, person, play, replies, small_run, tasks, three

PEOPLE = [person("a", three(1, 2, -1)), person("b", three(3, 5, -3))]
START = three(0, 0, 0)
REMEMBERING: dict[str, Callable[[], Strategy]] = {
    "ditto": ditto,
    "fed_dyn": fed_dyn,
    "fed_per": lambda: fed_per(personal=["b"]),
    "local_fine_tuning": local_fine_tuning,
    "scaffold": scaffold,
    "top_k": lambda: top_k(keep=0.5),
    "top_k_around_scaffold": lambda: top_k(keep=0.5, around=scaffold()),
}


@pytest.fixture(params=sorted(REMEMBERING))
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return REMEMBERING[request.param]()


def remembered(memory: Weights) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in memory.items()}


def test_training_again_after_a_kill_before_the_close_gives_the_same_bytes(strategy: Strategy) -> None:
    run = small_run(strategy, PEOPLE, START)
    play(run, PEOPLE)
    scheduler.plan(run, 2)
    (task,) = tasks(run, 2)
    train_part(run, task, opener(PEOPLE), {})
    first = replies(run, 2)
    for key in first:
        run.store.delete(key)  # the kill came after the memory was written, before the reply was
    train_part(run, task, opener(PEOPLE), {})
    assert replies(run, 2) == first


def test_memory_that_was_written_counts_only_once_its_round_is_closed(strategy: Strategy) -> None:
    run = small_run(strategy, PEOPLE, START)
    scheduler.plan(run, 1)
    train_part(run, tasks(run)[0], opener(PEOPLE), {})
    assert read_memory(run, "a", 2) == {}
    server.close(run, 1)
    assert read_memory(run, "a", 2) != {}


def test_a_client_that_is_left_out_keeps_its_old_memory(strategy: Strategy) -> None:
    run = small_run(strategy, PEOPLE, START, workers=2)
    play(run, PEOPLE)
    before = {name: remembered(read_memory(run, name, 2)) for name in "ab"}
    scheduler.plan(run, 2)
    for task in tasks(run, 2):
        train_part(run, task, opener(PEOPLE), {})
    run.store.delete("rounds/0002/train/worker-1/000.safetensors")  # b wrote its memory, but its reply never came
    server.close(run, 2)
    assert remembered(read_memory(run, "b", 3)) == before["b"]
    assert remembered(read_memory(run, "a", 3)) != before["a"]


def test_a_client_that_moves_to_another_worker_of_its_organisation_keeps_its_memory(strategy: Strategy) -> None:
    stays, moves = (small_run(strategy, PEOPLE, START, workers=2) for _ in range(2))
    for run in (stays, moves):
        play(run, PEOPLE)
    plan = {word: value for word, value in scheduler.plan(moves, 2).items() if word not in ("signature", "signer")}
    moves.store.delete(plan_key(2))
    moves.put(plan_key(2), {**plan, "workers": {"worker-0": [["a", "b"]]}})
    assert digest_weights(play(moves, PEOPLE, 2).weights) == digest_weights(play(stays, PEOPLE, 2).weights)
    assert remembered(read_memory(moves, "b", 3)) == remembered(read_memory(stays, "b", 3)) != {}
