"""Remembers a few of the write-once keys that were read, so that a round asks the store once for each, and hashes and checks each once."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from fl_core.codec import sha256

Data = bytes | memoryview
SMALL_BYTES = 1 << 20
SMALL_KEYS = 256
LARGE_KEYS = 2


@dataclass
class Kept:
    """What lies under a key; it changes as more becomes known of it: its digest, and whether its signature was found good."""

    data: Data
    is_checked: bool = False
    _digest: str = ""

    @property
    def digest(self) -> str:
        """The sha256 of the bytes."""
        self._digest = self._digest or sha256(self.data)
        return self._digest


class Recall:
    """The newest small keys and the two newest large ones; it has state because remembering is."""

    def __init__(self) -> None:
        self._small: OrderedDict[str, Kept] = OrderedDict()
        self._large: OrderedDict[str, Kept] = OrderedDict()

    def get(self, key: str, read: Callable[[str], Data]) -> Kept:
        """What was read before under the key, or what `read` gives now."""
        for known in (self._small, self._large):
            if key in known:
                known.move_to_end(key)
                return known[key]
        return self.keep(key, read(key))

    def keep(self, key: str, data: Data, *, is_checked: bool = False) -> Kept:
        """Remembers what now lies under the key; `is_checked` where its signature is this process's own."""
        known, most = (self._small, SMALL_KEYS) if len(data) < SMALL_BYTES else (self._large, LARGE_KEYS)
        self._small.pop(key, None)
        self._large.pop(key, None)
        kept = known[key] = Kept(data, is_checked)
        while len(known) > most:
            known.popitem(last=False)
        return kept
