"""A store as its only writer sees it: what this process did not write is not there, so the store need not be asked."""

from collections.abc import Callable

from fl_core.errors import KeyMissing
from fl_core.store import Store, check_key


class SoleWriter:
    """A store of whose `own` keys nobody else writes any; it has state because it remembers what lies under them: what was there when it was opened, and
    what it wrote since. Should another write there all the same, `put` finds it as ever."""

    def __init__(self, store: Store, prefix: str, own: Callable[[str], bool]) -> None:
        self._store, self._own, self.uri = store, own, store.uri
        self._there = {key for key in store.list(prefix) if own(key)}
        self.list, self.append, self.at = store.list, store.append, store.at

    def get(self, key: str) -> bytes | memoryview:
        if self._is_absent(key):
            raise KeyMissing(key)
        return self._store.get(key)

    def put(self, key: str, data: bytes | memoryview) -> bool:
        written = self._store.put(key, data)
        self._there.add(key)
        return written

    def exists(self, key: str) -> bool:
        return not self._is_absent(key) and self._store.exists(key)

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        moved = self._store.swap(key, expected, data)
        self._there.add(key)
        return moved

    def delete(self, *keys: str) -> None:
        self._store.delete(*keys)
        self._there.difference_update(keys)

    def _is_absent(self, key: str) -> bool:
        return self._own(check_key(key)) and key not in self._there
