"""What a run finds in its store by name alone."""

import pytest

from fl_core.codec import decode_record
from fl_core.errors import SignatureError
from fl_core.run_folder import MANIFEST, Run, plan_key
from fl_core.store import DictStore
from tests.fl_core.harness import replied, three_clients
from tests.jobs import tiny_job


@pytest.mark.parametrize("plans", [0, 1, 2, 3, 4, 5, 16, 17, 31])
def test_the_last_plan_is_found_without_a_list(plans: int) -> None:
    store = DictStore({})
    for round in range(1, plans + 1):
        store.put(plan_key(round), b"{}")
    store.list = None  # type: ignore[assignment,method-assign]
    assert Run("one", tiny_job(), store).last_plan() == max(plans, 1)


@pytest.mark.parametrize(("key", "old", "new"), [(plan_key(1), b'"round":1', b'"round": 1'), (MANIFEST, b"{", b"{ "), (plan_key(1), b"}", b"}\n")])
def test_a_record_is_written_in_one_way_only(key: str, old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    run = three_clients()
    replied(run)
    data = bytes(run.store.get(key))
    changed = new.join(data.rsplit(old, 1)) if old == b"}" else data.replace(old, new, 1)
    assert decode_record(changed, key) == decode_record(data, key) != {}
    run.store.delete(key)
    run.store.put(key, changed)
    with pytest.raises(SignatureError, match=rf"'{key}' is not written as 'server' writes it"):
        Run(run.name, run.job, run.store).record(key)
    monkeypatch.setattr("fl_core.run_folder.check_canonical", lambda data, record, key: None)
    assert Run(run.name, run.job, run.store).record(key), "without that check nobody would see it"
