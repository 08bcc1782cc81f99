from dataclasses import replace

import numpy as np
import pytest

from fl_core.errors import InputError
from fl_core.merging import Merging, merge
from fl_core.replies import Replies
from fl_core.run_folder import plan_key
from fl_core.strategies.fed_avg import fed_avg
from tests.fl_core.harness import numbers, replied, three_clients


def test_sums_are_added_in_any_order_and_leave_the_replies_as_they_were() -> None:
    replies = [({"w": np.array([n], np.int64)}, {"clients": {f"c{n}": {"weight": n}}}) for n in (1, 2, 3)]
    for order in (replies, replies[::-1]):
        merging = Merging("sum")
        for tensors, reply in order:
            merging.add(tensors, reply)
        update = merging.update(["c1", "c2", "c3"], 5)
        assert (update.total["w"].tolist(), update.weight, update.clients, update.population) == ([6], 6, ("c1", "c2", "c3"), 5)
    assert [tensors["w"].tolist() for tensors, _ in replies] == [[1], [2], [3]]


def test_narrow_and_wide_sums_add_without_a_wrap() -> None:
    most = np.array([2**31 - 1], np.int32)
    merging = Merging("sum")
    for tensor in (most, most, np.array([2**40], np.int64)):
        merging.add({"w": tensor}, {"clients": {"c": {"weight": 1}}})
    assert merging.update(["c"], 1).total["w"].tolist() == [2 * (2**31 - 1) + 2**40]


def test_what_was_decided_with_its_update_is_the_same_when_it_is_merged_again() -> None:
    run = three_clients()
    replied(run)
    trip = run.strategy.exchanges[-1]
    record, update = Replies(run, run.record(plan_key(1)), trip).decided()
    again = merge(run, record, trip)
    assert (again.clients, again.weight, numbers(again.total)) == (update.clients, update.weight, numbers(update.total))


def test_form_list_keeps_clients_apart_in_the_order_of_their_names() -> None:
    trip = replace(fed_avg().exchanges[0], form="list")
    run = three_clients(replace(fed_avg(), exchanges=(trip,)), workers=2)
    replied(run)
    record, update = Replies(run, run.record(plan_key(1)), trip).decided()
    assert list(update.moves) == ["a", "b", "c"]
    assert {client: numbers(move) for client, move in update.moves.items()} == {"a": [1, 0, 0], "b": [0, 1, 0], "c": [0, 0, 1]}
    assert update.weights == {"a": 1, "b": 1, "c": 2}
    assert update.population == 3
    assert numbers(update.mean()) == [0.25, 0.25, 0.5]
    again = merge(run, record, trip)
    assert numbers(again.mean()) == numbers(update.mean())


def test_a_reply_that_was_swapped_after_the_close_is_refused() -> None:
    run = three_clients()
    replied(run)
    trip = run.strategy.exchanges[-1]
    record, _ = Replies(run, run.record(plan_key(1)), trip).decided()
    key = min(record["replies"])
    run.store.delete(key)
    run.store.put(key, b"another")
    with pytest.raises(InputError, match="is not the reply that round 1 was closed with; its sha256 differs"):
        merge(run, record, trip)
