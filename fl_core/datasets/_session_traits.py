"""What a column of a sample of rows holds."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from fl_core.datasets._session_times import Clock, find_clock, is_number, is_of_our_days

# So large a share of a column's cells has to be of a kind: real logs have empty cells, a header in the middle, a last line that was cut.
MOST = 0.9


@dataclass(frozen=True)
class Trait:
    """A column of a sample: its cells, in order and without surrounding space; all else is worked out when asked for."""

    cells: tuple[str, ...]

    @cached_property
    def full(self) -> tuple[str, ...]:
        return tuple(filter(None, self.cells))

    @cached_property
    def filled(self) -> float:
        return len(self.full) / max(len(self.cells), 1)

    @cached_property
    def values(self) -> frozenset[str]:
        return frozenset(self.full)

    @cached_property
    def numeric(self) -> bool:
        """Whether the cells that hold anything are numbers."""
        return bool(self.full) and sum(map(is_numeral, self.full)) >= MOST * len(self.full)

    @cached_property
    def numbers(self) -> list[float]:
        return [float(cell.replace(",", ".")) for cell in self.full if is_numeral(cell)]

    @cached_property
    def fractional(self) -> bool:
        """Whether it holds prices, degrees, places on the earth and the like, which are no items."""
        return self.numeric and sum(number % 1 > 0 for number in self.numbers) > 0.1 * len(self.full)

    @cached_property
    def coded(self) -> bool:
        """Whether most cells hold a digit, as ids do and kinds of events do not."""
        return self._mostly(sum(any(map(str.isdigit, cell)) for cell in self.cells))

    @cached_property
    def clock(self) -> Clock:
        """The reader of points in time that understands most of the cells."""
        return self._clock[0]

    @cached_property
    def _clock(self) -> tuple[Clock, float]:
        return find_clock(self.full)

    @cached_property
    def is_date(self) -> bool:
        return not is_number(self.clock) and self._mostly(round(self._clock[1] * len(self.full)))

    @cached_property
    def is_time(self) -> bool:
        """Whether the cells can be points in time: dates, or numbers of the right size that do not come again and again as ids do."""
        if self.is_date or not self.is_of_our_days:
            return self.is_date
        return self.whole_hours or self.grows or 2 * len(self.values) > len(self.full)

    @cached_property
    def is_of_our_days(self) -> bool:
        """Whether they are dates, or numbers of the size that points in time have."""
        return self.is_date or self._mostly(sum(map(is_of_our_days, self.full)))

    @cached_property
    def whole_hours(self) -> bool:
        seconds = [found for cell in self.full if (found := self.clock(cell)) is not None]
        return bool(seconds) and all(second % 3600 == 0 for second in seconds)

    @cached_property
    def grows(self) -> bool:
        return self.numeric and all(above <= number for above, number in pairwise(self.numbers))

    @cached_property
    def shape(self) -> str | None:
        """What most cells look like when every number is a 0."""
        shapes = Counter(map(shape_of, self.full))
        shape, count = shapes.most_common(1)[0] if shapes else ("", 0)
        return shape if count and self._mostly(count) else None

    @cached_property
    def lists(self) -> bool:
        """Whether the cells hold several codes each, such as the items of a session."""
        if self._mostly(sum(cell.startswith("[") for cell in self.cells)):
            return True
        parts = [re.findall(r"[^\s,|;]+", cell) for cell in self.full]
        codes = [any(map(str.isdigit, part)) for cell in parts for part in cell]
        several = sum(len(cell) > 1 for cell in parts)
        return several > 0.3 * len(self.cells) and sum(codes) >= MOST * len(codes) and not self.is_time

    def _mostly(self, count: int) -> bool:
        return bool(self.cells) and count >= MOST * len(self.cells)


def shape_of(cell: str) -> str:
    return re.sub(r"\d+", "0", cell)


def is_numeral(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+([.,]\d*)?([eE][+-]?\d+)?", cell))
