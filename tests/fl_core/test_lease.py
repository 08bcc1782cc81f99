"""Leases are held by one process at a time, cost a waiting one next to nothing, and end with the work."""

import threading
from collections.abc import Callable

from fl_core.lease import Leases, lease_key
from fl_core.store import DictStore, Store

RUN = "s3://b/runs/r"
PART, OTHER_PART = "rounds/0001/train/a/000", "rounds/0001/train/a/001"


class Asked(DictStore):
    """A store that counts what it is asked, and tells of each key that is put."""

    def __init__(self, on_put: Callable[[str], None] = lambda key: None) -> None:
        super().__init__({})
        self.requests, self._on_put = 0, on_put

    def at(self, prefix: str) -> "Asked":
        return self

    def get(self, key: str) -> bytes:
        self.requests += 1
        return super().get(key)

    def put(self, key: str, data: bytes | memoryview) -> bool:
        self.requests += 1
        written = super().put(key, data)
        self._on_put(key)
        return written

    def list(self, prefix: str) -> list[str]:
        self.requests += 1
        return super().list(prefix)


def ended(private: Store, key: str) -> int:
    """A process takes the lease and dies."""
    return Leases(private, RUN, seconds=-1).take(key)


def test_a_lease_is_held_by_one_until_it_expires() -> None:
    private = DictStore({})
    first, second = Leases(private, RUN, seconds=1000), Leases(private, RUN)
    assert first.take(PART) == 1
    assert second.take(PART) == 0
    assert ended(private, OTHER_PART) == 1
    assert second.take(OTHER_PART) == 2


def test_a_lease_holds_in_its_own_run_alone() -> None:
    private = DictStore({})
    assert Leases(private, RUN).take(PART) == 1
    assert Leases(private, "s3://b/runs/s").take(PART) == 1


def test_leases_are_removed_a_round_later_and_leave_nothing_behind() -> None:
    private = DictStore({})
    leases = Leases(private, RUN)
    leases.take(PART)
    leases.forget()
    assert len(private.list("")) == 1, "another process of the worker may still ask for it"
    leases.forget()
    assert private.list("") == []


def test_a_look_at_what_another_holds_costs_the_same_however_often_that_was_renewed() -> None:
    costs = []
    for renewals in (1, 138):
        private = Asked()
        for _ in range(renewals):
            ended(private, PART)
        assert Leases(private, RUN, seconds=1000).take(PART) == renewals + 1
        waiting, before = Leases(private, RUN), private.requests
        assert waiting.take(PART) == 0
        costs.append(private.requests - before)
        assert waiting.take(PART) == 0
        assert private.requests == before + costs[-1], "until the other's lease is over there is nothing to ask for"
    assert costs[0] == costs[1]


def test_who_waits_takes_over_from_the_newest_lease() -> None:
    private = DictStore({})
    waiting = Leases(private, RUN)
    for number in range(1, 4):
        assert ended(private, PART) == number
    assert waiting.take(PART) == 4


def test_a_lease_is_renewed_while_the_work_goes_on_and_no_more_once_it_is_done() -> None:
    renewed = threading.Event()

    def on_put(key: str) -> None:
        if key == lease_key(PART, 2):
            leases.done(PART)  # the work ends while its lease is being renewed
        if key == lease_key(OTHER_PART, 5):
            renewed.set()

    private = Asked(on_put)
    leases = Leases(private, RUN, seconds=0.03)
    leases.take(PART)
    leases.take(OTHER_PART)
    with leases.renewing():
        assert renewed.wait(60)
    assert private.exists(lease_key(PART, 2))
    assert not private.exists(lease_key(PART, 3))
