from dataclasses import replace

from fl_core.codec import decode_tensors
from fl_core.replies import Replies
from fl_core.reply import NO_REPLY
from fl_core.run_folder import Run, plan_key
from fl_core.store import DictStore
from fl_core.worker import key_of
from tests.fl_core.harness import numbers, replied, tasks, three_clients


class CountingStore(DictStore):
    """Notes every key that is read."""

    def __init__(self) -> None:
        super().__init__({})
        self.read: list[str] = []

    def get(self, key: str) -> bytes | memoryview:
        self.read.append(key)
        return super().get(key)


def gathering(run: Run) -> Replies:
    return Replies(run, run.record(plan_key(1)), run.strategy.exchanges[-1])


def test_replies_taken_as_they_come_decide_as_those_read_at_the_end() -> None:
    run = three_clients(workers=3)
    replied(run)
    at_the_end, update = gathering(run).decided()
    for order in (tasks(run), tasks(run)[::-1]):
        early = gathering(run)
        for task in order:
            early.take(task)
        assert early.look()
        record, same = early.decided()
        assert (record, same.weight, numbers(same.total)) == (at_the_end, update.weight, numbers(update.total))


def test_each_reply_is_read_once() -> None:
    run = three_clients(workers=3)
    replied(run)
    store = CountingStore()
    for key in run.store.list(""):
        store.put(key, run.store.get(key))
    early = gathering(replace(run, store=store))
    for _ in range(2):
        for task in tasks(run):
            early.take(task)
        early.look()
    early.decided()
    assert sorted(key for key in store.read if "/train/" in key) == sorted(map(key_of, tasks(run)))


def test_who_has_not_replied_is_taken_at_the_end_or_left_out() -> None:
    run = three_clients(workers=3)
    replied(run, without="worker-2")
    early = gathering(run)
    for task in tasks(run):
        early.take(task)
    assert not early.look()
    assert early.missing_workers == ["worker-2"]
    assert early.decided()[0]["left_out"] == [{"client": client, "worker": "worker-2", "reason": NO_REPLY} for client in "c"]
    late = gathering(run)
    assert not late.look()
    replied(run)
    assert late.decided()[0]["left_out"] == []


def test_a_reply_that_changes_after_it_was_taken_is_the_one_of_the_digest() -> None:
    run = three_clients(workers=3)
    replied(run)
    early = gathering(run)
    early.look()
    key = key_of(tasks(run)[0])
    tensors, _ = decode_tensors(run.store.get(key), key)
    run.store.delete(key)
    run.put_tensors(key, {name: value + 1 for name, value in tensors.items()}, {"run": run.name, "round": 1})
    record, update = early.decided()
    assert len(record["clients"]) == 3
    assert numbers(update.mean()) == [0.25, 0.25, 0.5]
