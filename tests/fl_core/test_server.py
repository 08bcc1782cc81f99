from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fl_core import run_folder, scheduler
from fl_core.codec import Record, decode_record, decode_tensors, encode_record, encode_tensors
from fl_core.errors import QuorumError, SignatureError
from fl_core.replies import Replies
from fl_core.reply import NO_REPLY
from fl_core.run_folder import Run, card_key, close_key, plan_key, state_key
from fl_core.server import close, forget_failed_replies
from fl_core.signing import new_key, public_key, sign
from fl_core.store import DictStore
from fl_core.strategies.fed_avg import fed_avg
from fl_core.worker import key_of, train_part
from tests.fl_core.harness import JOB, PEOPLE, START, numbers, opener, person, play, replied, replies, small_run, tasks, three, three_clients


def forge(run: Run, worker: str, change: Callable[[dict[str, np.ndarray], Record], None]) -> None:
    """Puts another reply in the place of a worker's, signed by the worker itself."""
    key = next(key_of(task) for task in tasks(run) if task.worker == worker)
    tensors, record = decode_tensors(run.store.get(key), key)
    copy = {name: value.copy() for name, value in tensors.items()}
    change(copy, record)
    run.store.delete(key)
    run.put_tensors(key, copy, {name: value for name, value in record.items() if name not in ("format", "tensors", "signature", "signer")})


def decided(run: Run) -> Record:
    return Replies(run, run.record(plan_key(1)), run.strategy.exchanges[-1]).decided()[0]


def reasons(record: Record) -> dict[str, str]:
    return {entry["client"]: entry["reason"] for entry in record["left_out"]}


def test_the_next_state_is_the_mean_weighed_by_examples() -> None:
    # Each client walks half of the way from 0 to its target: moves of 1; weights 1, 1 and 2 of 4.
    assert numbers(play(three_clients(), PEOPLE).weights) == [0.25, 0.25, 0.5]


def test_however_clients_are_spread_the_close_record_lists_the_same_clients_and_state() -> None:
    runs = [three_clients(workers=workers) for workers in (1, 2, 3)]
    states = {run.digest(state_key(2)) for run in runs if play(run, PEOPLE)}
    assert len(states) == 1
    assert {tuple(run.record(close_key(1))["clients"]) for run in runs} == {("a", "b", "c")}


def test_a_close_record_names_replies_by_digest_and_clients_with_their_figures() -> None:
    run = three_clients()
    play(run, PEOPLE)
    record = run.record(close_key(1))
    assert record["replies"] == {key: run.digest(key) for key in replies(run)}
    assert record["clients"]["c"] == {"loss": 2.0, "seen": 2.0}
    assert record["plan"] == run.digest(plan_key(1))


def test_a_round_is_closed_once() -> None:
    run = three_clients()
    replied(run, without="worker-2")
    first = close(run, 1)
    train_part(run, next(task for task in tasks(run) if task.worker == "worker-2"), opener(PEOPLE), {})
    assert close(run, 1) == first
    assert reasons(run.record(close_key(1))) == {"c": NO_REPLY}


def test_nothing_is_closed_once_the_job_is_finished() -> None:
    run = three_clients(rounds=1)
    play(run, PEOPLE)
    scheduler.plan(run, 2)
    assert close(run, 2) is None
    assert not run.store.exists(close_key(2))


def other_round(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["round"] = 2


def other_plan(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["plan"] = "0" * 64


def other_run(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["run"] = "another"


def other_exchange(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["exchange"] = "ask"


def other_part(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["part"] = 7


def other_client(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["clients"] = {"you": record["clients"]["b"]}


def one_client_more(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["clients"] |= {"you": record["clients"]["b"]}


def wrong_shape(tensors: dict[str, np.ndarray], record: Record) -> None:
    tensors["b"] = np.zeros(2, np.int64)


def sum_that_wraps(tensors: dict[str, np.ndarray], record: Record) -> None:
    tensors["b"] = np.full(1, 2**63 - 1)


def weight_in_words(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["clients"]["b"]["weight"] = "1"


def weight_beyond_floats(tensors: dict[str, np.ndarray], record: Record) -> None:
    record["clients"]["b"]["weight"] = 1e308


def one_weight_less(tensors: dict[str, np.ndarray], record: Record) -> None:
    del tensors["b"]


def one_weight_more(tensors: dict[str, np.ndarray], record: Record) -> None:
    tensors["v"] = np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_round, "its reply is for another round"),
        (other_plan, "its reply is for another round"),
        (other_run, "its reply is for another round"),
        (other_exchange, "its reply is for part 0 of the exchange 'ask'"),
        (other_part, "its reply is for part 7 of the exchange 'train'"),
        (other_client, "its reply is for other clients"),
        (one_client_more, "its reply is for other clients"),
        (wrong_shape, "its update of 'b' has shape (2,), not (1,)"),
        (sum_that_wraps, "its sum of 'b' is larger than its clients can have made it"),
        (weight_in_words, "its reply was refused: 'clients.b.weight' is not what a reply holds"),
        (weight_beyond_floats, "its reply was refused: 'clients.b.weight' is not what a reply holds"),
        (one_weight_less, "its update lacks 'b'"),
        (one_weight_more, "its update has 'v', which nobody asked for"),
    ],
)
def test_a_reply_that_was_not_asked_for_leaves_its_clients_out(change: Callable[[dict[str, np.ndarray], Record], None], reason: str) -> None:
    run = three_clients()
    replied(run)
    forge(run, "worker-1", change)
    record = decided(run)
    assert reasons(record) == {"b": reason}
    assert sorted(record["clients"]) == ["a", "c"]


def test_were_the_exchange_not_compared_a_reply_to_another_would_be_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    run = three_clients()
    replied(run)
    forge(run, "worker-1", other_exchange)
    key = next(key_of(task) for task in tasks(run) if task.worker == "worker-1")
    monkeypatch.setattr("fl_core.reply.reply_key", lambda round, exchange, worker, part: key.replace("worker-1", worker))
    assert sorted(decided(run)["clients"]) == ["a", "b", "c"]


def swap_card(run: Run, worker: str) -> Run:
    """What another process of the server sees after somebody put a card with a key of their own in the worker's place, and a reply signed by it."""
    mallory, key = new_key(), card_key(worker)
    card = {word: value for word, value in run.record(key).items() if word not in ("signature", "signer")}
    run.store.delete(key)
    run.store.put(key, encode_record(sign({**card, "public_key": public_key(mallory)}, worker, mallory)))
    forger = Run(run.name, run.job, run.store, DictStore({f"keys/{worker}": mallory}), run.given)
    task = next(task for task in tasks(run) if task.worker == worker)
    train_part(forger, task, opener([person(name, three(666, 666, 666)) for name in "abc"]), {})
    return Run(run.name, run.job, run.store, run.private, run.given)


def test_a_key_that_was_swapped_in_after_the_first_plan_signs_for_nobody() -> None:
    run = three_clients()
    replied(run, without="worker-0")
    with pytest.raises(SignatureError, match=r"'job/cards/worker-0.json' is not the card that the plan of round 1 names; it was swapped"):
        close(swap_card(run, "worker-0"), 1)


def test_were_cards_not_fixed_by_the_first_plan_the_swapped_key_would_sign_for_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder._Cards, "fixed", lambda self, worker: decode_record(self._run.store.get(card_key(worker)), "card"))
    run = three_clients()
    replied(run, without="worker-0")
    again = swap_card(run, "worker-0")
    close(again, 1)
    assert max(numbers(again.state(2).weights)) > 50


def test_sums_that_are_not_whole_numbers_leave_their_clients_out() -> None:
    run = three_clients()
    replied(run)
    forge(run, "worker-1", lambda tensors, reply: tensors.update(more=np.ones(3, np.float32)))
    assert reasons(decided(run)) == {"b": "its sum of 'more' holds float32, not int64 or int32"}


def test_a_damaged_reply_leaves_its_clients_out() -> None:
    run = three_clients()
    replied(run)
    key = next(key_of(task) for task in tasks(run) if task.worker == "worker-1")
    data = bytearray(run.store.get(key))
    data[-1] ^= 1
    run.store.delete(key)
    run.store.put(key, bytes(data))
    assert reasons(decided(run))["b"].startswith("its reply was refused:")


def test_a_reply_that_is_cut_off_leaves_its_clients_out() -> None:
    run = three_clients()
    replied(run)
    key = next(key_of(task) for task in tasks(run) if task.worker == "worker-1")
    data = bytes(run.store.get(key))
    run.store.delete(key)
    run.store.put(key, data[: len(data) // 2])
    assert "is not a safetensors file of ours" in reasons(decided(run))["b"]


GARBAGE = [b"garbage", encode_tensors({}, {"x": 1}), (200_006).to_bytes(8, "little") + b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]


@pytest.mark.parametrize("data", GARBAGE, ids=["no file", "no reply", "deep"])
def test_garbage_leaves_its_clients_out_and_is_tried_again_after_a_restart(data: bytes) -> None:
    run = three_clients()
    replied(run, without="worker-1")
    key = next(key_of(task) for task in tasks(run) if task.worker == "worker-1")
    run.store.put(key, data)
    assert reasons(decided(run))["b"].startswith("its reply was refused: ")
    forget_failed_replies(run, 1)
    assert sorted(replies(run)) == [key_of(task) for task in tasks(run) if task.worker != "worker-1"]


@pytest.mark.parametrize(("quorum", "enough"), [(0.6, True), (0.67, False), (1.0, False)])
def test_the_quorum_is_a_share_of_the_chosen_clients_rounded_up(quorum: float, enough: bool) -> None:
    run = three_clients(quorum=quorum)
    replied(run, without="worker-2")
    if enough:
        assert close(run, 1)
        return
    with pytest.raises(QuorumError) as refused:
        close(run, 1)
    assert str(refused.value) == f"Round 1 has 2 of 3 clients, below the quorum of 3; missing are c (worker-2): {NO_REPLY}."
    assert not run.store.exists(close_key(1))
    assert not run.store.exists(state_key(2))


def test_many_missing_clients_are_counted_not_listed() -> None:
    people = [person(f"c{i:02d}", START) for i in range(15)]
    run = small_run(fed_avg(), people, START, job=JOB.replace("quorum: 0", "quorum: 0.1"))
    scheduler.plan(run, 1)
    with pytest.raises(QuorumError) as refused:
        close(run, 1)
    assert str(refused.value).count(NO_REPLY) == 10
    assert str(refused.value).endswith(" and 5 more.")


def test_without_any_client_the_weights_are_passed_on() -> None:
    run = three_clients()
    scheduler.plan(run, 1)
    close(run, 1)
    assert numbers(run.state(2).weights) == [0, 0, 0]
    assert run.state(2).round == 2


def test_a_failed_reply_is_forgotten_before_a_resume_and_a_whole_one_stays() -> None:
    run = three_clients(quorum=1.0)
    scheduler.plan(run, 1)
    for task in tasks(run):
        train_part(run, task, opener(PEOPLE), {"b": "it was tired"} if "b" in task.clients else {})
    forget_failed_replies(run, 1)
    assert [key_of(task) in replies(run) for task in tasks(run)] == [True, False, True]


def test_a_closed_round_forgets_nothing() -> None:
    run = three_clients()
    replied(run)
    forge(run, "worker-1", lambda tensors, record: record["failures"].update(b=record["clients"].pop("b")))
    close(run, 1)
    before = replies(run)
    forget_failed_replies(run, 1)
    assert replies(run) == before


def test_form_list_refuses_a_move_that_is_not_finite() -> None:
    trip = replace(fed_avg().exchanges[0], form="list")
    run = three_clients(replace(fed_avg(), exchanges=(trip,)))
    replied(run)
    forge(run, "worker-1", lambda tensors, record: tensors["0.b"].fill(np.nan))
    assert reasons(decided(run)) == {"b": "b: 'b' holds NaN or Inf"}


def kept(run: Run, rounds: int, what: str) -> list[int]:
    """The rounds, after so many, of which replies (or states) are still there."""
    for round in range(1, rounds + 1):
        play(run, PEOPLE, round)
    if what == "replies":
        return [round for round in range(1, rounds + 1) if replies(run, round)]
    return [round for round in range(1, rounds + 2) if run.store.exists(state_key(round))]


@pytest.mark.parametrize(("keep", "left"), [("all", [1, 2, 3]), ("last_round", [3]), ("none", [])])
def test_replies_are_kept_as_the_job_says(keep: str, left: list[int]) -> None:
    assert kept(three_clients(keep_updates=keep), 3, "replies") == left


@pytest.mark.parametrize(("keep", "left"), [("all", [1, 2, 3, 4, 5, 6, 7]), ("auto", [1, 2, 3, 4, 5, 6, 7]), (2, [1, 3, 5, 6, 7]), (3, [1, 4, 6, 7])])
def test_states_are_kept_as_the_job_says_and_the_two_newest_stay(keep: int | str, left: list[int]) -> None:
    assert kept(three_clients(keep_states=keep), 6, "states") == left


def test_a_forgotten_round_is_not_closed_again() -> None:
    run = three_clients(keep_states=3, keep_updates="none")
    kept(run, 6, "states")
    before = run.store.list("")
    assert close(run, 3) == run.record(close_key(3))
    assert run.store.list("") == before
