"""Waiting looks again less and less often, and when it usually is there."""

import pytest

from fl_core.waiting import POLL_SECONDS_MAX, Rhythm, wait_until


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now, self.looks = 0.0, 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def there_at(self, seconds: float) -> bool:
        self.looks += 1
        return self.now >= seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("fl_core.waiting.time", clock)
    return clock


def test_what_is_there_is_found_at_once(clock: Clock) -> None:
    assert wait_until(lambda: clock.there_at(0), 10)
    assert (clock.now, clock.looks) == (0, 1)


def test_what_does_not_come_is_given_up_at_the_deadline(clock: Clock) -> None:
    assert not wait_until(lambda: clock.there_at(1e9), 60)
    assert clock.now == pytest.approx(60)
    assert clock.looks < 60 / POLL_SECONDS_MAX + 30


def test_what_is_late_is_noticed_within_a_sixth_of_the_time_it_took(clock: Clock) -> None:
    assert wait_until(lambda: clock.there_at(1.3), 60)
    assert clock.now < 1.3 * 7 / 6


def test_what_comes_regularly_is_first_looked_for_when_it_is_nearly_due(clock: Clock) -> None:
    rhythm = Rhythm()
    for begun in (0.0, 1.0, 2.0):
        clock.now, clock.looks = begun, 0
        assert rhythm.wait_until(lambda due=begun + 0.1: clock.there_at(due), 60)  # type: ignore[misc]
    assert clock.looks <= 3


def test_what_comes_sooner_than_usual_is_waited_for_no_longer_than_a_look_takes(clock: Clock) -> None:
    rhythm = Rhythm()
    rhythm.wait_until(lambda: clock.there_at(100), 200)
    begun = clock.now
    assert rhythm.wait_until(lambda: clock.there_at(0), 200)
    assert clock.now - begun == pytest.approx(POLL_SECONDS_MAX)


def test_the_deadline_holds_where_it_is_sooner_than_the_usual_time(clock: Clock) -> None:
    rhythm = Rhythm()
    rhythm.wait_until(lambda: clock.there_at(10), 200)
    clock.now = 0.0
    assert not rhythm.wait_until(lambda: False, 0.125)
    assert clock.now == 0.125
