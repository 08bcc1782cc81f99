"""A store of whose keys a process is the only writer asks nobody for what is not there."""

import pytest

from fl_core.errors import KeyMissing, KeyTaken
from fl_core.sole_writer import SoleWriter
from fl_core.store import DictStore


class Counting(DictStore):
    """Counts what it is asked for."""

    asked = 0

    def get(self, key: str) -> bytes:
        self.asked += 1
        return super().get(key)


@pytest.fixture
def shared() -> Counting:
    store = Counting({})
    store.put("rounds/0001/plan.json", b"1")
    return store


@pytest.fixture
def mine(shared: Counting) -> SoleWriter:
    return SoleWriter(shared, "rounds/", lambda key: key.endswith("plan.json"))


def test_what_was_there_at_the_start_and_what_was_written_since_is_read(mine: SoleWriter) -> None:
    mine.put("rounds/0002/plan.json", b"2")
    assert [bytes(mine.get(f"rounds/000{round}/plan.json")) for round in (1, 2)] == [b"1", b"2"]
    assert mine.exists("rounds/0002/plan.json")


def test_for_what_was_never_written_the_store_is_not_asked(mine: SoleWriter, shared: Counting) -> None:
    with pytest.raises(KeyMissing):
        mine.get("rounds/0002/plan.json")
    assert not mine.exists("rounds/0002/plan.json")
    assert shared.asked == 0


def test_what_others_write_is_asked_for_each_time(mine: SoleWriter, shared: Counting) -> None:
    with pytest.raises(KeyMissing):
        mine.get("rounds/0001/train/a/000.safetensors")
    shared.put("rounds/0001/train/a/000.safetensors", b"reply")
    assert bytes(mine.get("rounds/0001/train/a/000.safetensors")) == b"reply"


def test_a_second_writer_is_found_by_what_lies_there(mine: SoleWriter, shared: Counting) -> None:
    shared.put("rounds/0002/plan.json", b"another's")
    with pytest.raises(KeyTaken):
        mine.put("rounds/0002/plan.json", b"2")


def test_what_is_removed_is_absent(mine: SoleWriter) -> None:
    mine.delete("rounds/0001/plan.json")
    assert not mine.exists("rounds/0001/plan.json")
    assert mine.swap("rounds/0001/plan.json", None, b"3")
    assert mine.exists("rounds/0001/plan.json")
