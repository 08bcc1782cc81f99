"""Leases: how several processes of one worker share its work. A lease is a write-once key with an expiry; the next one in line renews or takes over.

They lie in the worker's private place, which its processes have in common, and are nobody else's business. Leases only spare work: two processes that do
the same part write the same bytes under the same write-once key.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fl_core.codec import decode_record, encode_record, sha256
from fl_core.errors import KeyMissing, KeyTaken, StoreError
from fl_core.store import Store

LEASE_SECONDS = 30.0
LEASES_MAX = 100_000


class Leases:
    """The leases that one process holds; it has state because it renews them while it works."""

    def __init__(self, private: Store, run_uri: str, seconds: float = LEASE_SECONDS) -> None:
        """In the private place, for the run at this address: a place may serve several."""
        self._store, self._seconds, self._holder = private.at(f"leases/{sha256(run_uri.encode())[:16]}"), seconds, uuid.uuid4().hex
        self._held: dict[str, int] = {}
        self._others: dict[str, tuple[int, float]] = {}
        self._taken: list[str] = []
        self._older: list[str] = []
        self._lock = threading.Lock()

    def take(self, key: str) -> int:
        """The number of the lease where this process may do the work under the key now (1: nobody else ever had it), 0 while another does."""
        number, expires = self._others.get(key, (0, 0.0))
        while expires <= time.time():
            if number >= LEASES_MAX:
                raise StoreError(f"'{key}' has had {LEASES_MAX} leases; something takes and never does the work.")
            if self._write(key, number + 1):
                with self._lock:
                    self._held[key] = number + 1
                self._taken.append(lease_key(key, number + 1))
                return number + 1
            number = self._newest(key, number + 1)
            expires = self._expires(key, number)
            self._others[key] = number, expires  # until then there is nothing to ask for
        return 0

    def done(self, key: str) -> None:
        """The work under the key is done; its lease needs no renewal."""
        with self._lock:
            self._held.pop(key, None)

    def forget(self) -> None:
        """Removes the leases that this process took before it last called this, for nobody asks for their work any more; one that stays has an end anyway."""
        with suppress(StoreError):
            self._store.delete(*self._older)
        self._older, self._taken = self._taken, []
        self._others = {key: (number, expires) for key, (number, expires) in self._others.items() if expires > time.time()}

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Keeps what is held while the work goes on."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew_until, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _renew_until(self, stop: threading.Event) -> None:
        while not stop.wait(self._seconds / 3):
            with self._lock:
                held = dict(self._held)
            for key, number in held.items():
                with suppress(StoreError):
                    self._renew(key, number)

    def _renew(self, key: str, number: int) -> None:
        renewed = self._write(key, number + 1)
        if renewed:
            self._taken.append(lease_key(key, number + 1))
        with self._lock:
            if self._held.get(key) != number:  # the work was done meanwhile
                return
            if renewed:
                self._held[key] = number + 1
            else:
                del self._held[key]

    def _write(self, key: str, number: int) -> bool:
        record = {"holder": self._holder, "expires": time.time() + self._seconds}
        try:
            return self._store.put(lease_key(key, number), encode_record(record))
        except KeyTaken:
            return False

    def _newest(self, key: str, least: int) -> int:
        """The number of the newest lease, in one request however often it was renewed; `least` was there a moment ago."""
        numbers = [int(name.rpartition("-")[2]) for name in self._store.list(f"{key}.lease-")]
        return max([least, *numbers])

    def _expires(self, key: str, number: int) -> float:
        name = lease_key(key, number)
        try:
            return float(decode_record(self._store.get(name), name)["expires"])
        except KeyMissing:
            return 0.0


def lease_key(key: str, number: int) -> str:
    return f"{key}.lease-{number:06d}"
