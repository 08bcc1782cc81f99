"""Remembers a few of the write-once keys that were read, so that a round asks the store once for each."""

from collections import OrderedDict
from collections.abc import Callable

Data = bytes | memoryview
SMALL_BYTES = 1 << 20
SMALL_KEYS = 256
LARGE_KEYS = 2


class Recall:
    """The newest small keys and the two newest large ones; it has state because remembering is."""

    def __init__(self) -> None:
        self._small: OrderedDict[str, Data] = OrderedDict()
        self._large: OrderedDict[str, Data] = OrderedDict()

    def get(self, key: str, read: Callable[[str], Data]) -> Data:
        """What was read before under the key, or what `read` gives now."""
        for known in (self._small, self._large):
            if key in known:
                known.move_to_end(key)
                return known[key]
        data = read(key)
        self.keep(key, data)
        return data

    def keep(self, key: str, data: Data) -> None:
        """Remembers what now lies under the key."""
        known, most = (self._small, SMALL_KEYS) if len(data) < SMALL_BYTES else (self._large, LARGE_KEYS)
        self._small.pop(key, None)
        self._large.pop(key, None)
        known[key] = data
        while len(known) > most:
            known.popitem(last=False)
