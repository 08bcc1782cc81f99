"""Waiting for what others write: by looking again, less and less often, and never beyond a deadline."""

import time
from collections.abc import Callable
from contextlib import suppress

from fl_core.errors import KeyMissing, StoreError
from fl_core.store import Store

POLL_SECONDS_MIN, POLL_SECONDS_MAX, POLL_SHARE = 0.015, 0.25, 0.15
USUAL_SHARE = 0.75


def wait_until(ready: Callable[[], bool], seconds: float, usual_seconds: float = 0.0) -> bool:
    """Asks again and again, less and less often, so that what is late is noticed within a sixth of the time it took; False once the seconds are over.

    Where it usually takes some time, the first look is when three quarters of it are over, a quarter of a second later at most.
    """
    begun = time.monotonic()
    if usual_seconds > POLL_SECONDS_MIN:
        time.sleep(min(usual_seconds * USUAL_SHARE, POLL_SECONDS_MAX, seconds))
    while not ready():
        waited = time.monotonic() - begun
        if waited >= seconds:
            return False
        pause = max(POLL_SECONDS_MIN, waited * POLL_SHARE, usual_seconds * USUAL_SHARE - waited)
        time.sleep(min(pause, POLL_SECONDS_MAX, seconds - waited))
    return True


class Rhythm:
    """Waits for what comes again and again; it has state because it remembers how long the last one took."""

    def __init__(self) -> None:
        self._usual_seconds = 0.0

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """As `wait_until`, with the time that the last one took as the usual one."""
        begun = time.monotonic()
        came = wait_until(ready, seconds, self._usual_seconds)
        self._usual_seconds = time.monotonic() - begun
        return came


def wait(store: Store, key: str, deadline_seconds: float) -> bytes | memoryview:
    """The bytes under the key as soon as they are there; StoreError after the deadline."""
    found: list[bytes | memoryview] = []

    def there() -> bool:
        with suppress(KeyMissing):
            found.append(store.get(key))
        return bool(found)

    if not wait_until(there, deadline_seconds):
        raise StoreError(f"'{key}' did not appear in {store.uri} within {deadline_seconds:g} s.")
    return found[0]
