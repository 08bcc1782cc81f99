"""Names and sizes of many clients that are worked out when asked for, so that a million of them cost nothing."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import overload


class NumberedNames(Sequence[str]):
    """`client-0`, `client-1`, … with zeros in front, so that the order of the names is the order of the numbers.

    A class, because it stands in for a list of names; length, item, slice, `in` and `index` take the same time for 10 names and for 10 million.

    >>> names = NumberedNames(1_000_000)
    >>> names[7], names.index("client-000007"), "client-7" in names
    ('client-000007', 7, False)
    """

    def __init__(self, count: int, prefix: str = "client-", start: int = 0, stop: int | None = None) -> None:
        """The names of `count` clients, or of those from `start` up to `stop` among them."""
        self._count, self._prefix = count, prefix
        self._width = len(str(max(count - 1, 0)))
        self._numbers = range(count)[start:stop]

    def describe(self) -> dict[str, int | str]:
        """The arguments that make these names again; for an unbroken run of them."""
        return {"count": self._count, "prefix": self._prefix, "start": self._numbers.start, "stop": self._numbers.stop}

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> "NumberedNames": ...
    def __getitem__(self, at: int | slice) -> "str | NumberedNames":
        if isinstance(at, slice):
            part = NumberedNames(self._count, self._prefix)
            part._numbers = self._numbers[at]
            return part
        return self._name(self._numbers[at])

    def __iter__(self) -> Iterator[str]:
        return map(self._name, self._numbers)

    def __contains__(self, name: object) -> bool:
        return self._number(name) is not None

    def index(self, name: str, start: int = 0, stop: int | None = None) -> int:
        number = self._number(name)
        if number is None or (position := self._numbers.index(number)) not in range(len(self))[start:stop]:
            raise ValueError(f"{name!r} is none of the {len(self)} names.")
        return position

    def __repr__(self) -> str:
        return f"<{len(self)} names, {self[0]} to {self[-1]}>" if self else "<0 names>"

    def _name(self, number: int) -> str:
        return f"{self._prefix}{number:0{self._width}d}"

    def _number(self, name: object) -> int | None:
        """The number in a name, None for any other word."""
        if not isinstance(name, str) or not name.startswith(self._prefix):
            return None
        digits = name[len(self._prefix) :]
        fits = len(digits) == self._width and digits.isascii() and digits.isdigit()
        return int(digits) if fits and int(digits) in self._numbers else None


class EqualSizes(Sequence[int]):
    """The same number of examples for every client, without a list.

    >>> sizes = EqualSizes(60, 1_000_000)
    >>> sizes[7], len(sizes[10:20]), sum(sizes[:3])
    (60, 10, 180)
    """

    def __init__(self, size: int, count: int) -> None:
        """`size` examples for each of `count` clients."""
        self._size, self._places = size, range(count)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> "EqualSizes": ...
    def __getitem__(self, at: int | slice) -> "int | EqualSizes":
        places = self._places[at]
        return EqualSizes(self._size, len(places)) if isinstance(places, range) else self._size

    def __iter__(self) -> Iterator[int]:
        return repeat(self._size, len(self))
