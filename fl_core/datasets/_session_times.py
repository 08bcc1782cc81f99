"""Points in time as people write them, as seconds since 1970; which way of writing a column has is found from a sample of it."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

Clock = Callable[[str], float | None]
UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M", "%m/%d/%Y",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y", "%d/%b/%Y:%H:%M:%S", "%a %b %d %H:%M:%S %z %Y",
)  # fmt: skip
COMPACT = re.compile(r"(19[89]|20[0-3])\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
# Seconds of 1995 to 2039, or thousandths, millionths or billionths: smaller numbers may well be ids.
EPOCH_SECONDS = (8e8, 2.2e9)


def read_number(cell: str) -> float | None:
    """A number of seconds; that it is of smaller units is told by its size."""
    try:
        number = float(cell)
    except ValueError:
        return None
    if number != number or abs(number) == float("inf"):
        return None
    return number / next((unit for least, unit in UNITS if number > least), 1.0)


def _read_decimal_comma(cell: str) -> float | None:
    return read_number(cell.replace(",", "."))


def _read_iso(cell: str) -> float | None:
    """An ISO date; UTC unless it says."""
    try:
        when = datetime.fromisoformat(cell)
    except ValueError:
        try:
            when = datetime.fromisoformat(cell.strip().removesuffix(" UTC").replace("/", "-"))
        except ValueError:
            return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _read_compact(cell: str) -> float | None:
    """A date of eight digits, YYYYMMDD."""
    return _read_iso(cell) if COMPACT.fullmatch(cell) else None


def _read_format(form: str, cell: str) -> float | None:
    try:
        when = datetime.strptime(cell, form)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


NUMBERS: tuple[Clock, ...] = (_read_compact, read_number, _read_decimal_comma)
DATES: tuple[Clock, ...] = (_read_iso, *(partial(_read_format, form) for form in FORMATS))
# What every date has: digits around a mark, or a month's name between slashes.
LIKE_A_DATE = re.compile(r"\d[-/.:]\s?\d|\d/[A-Z]")


def find_clock(cells: Sequence[str]) -> tuple[Clock, float]:
    """The reader that understands the most of the cells, and their share; of equals the first."""
    dates = DATES if 2 * sum(LIKE_A_DATE.search(cell) is not None for cell in cells) > len(cells) else ()
    best: Clock = read_number
    most = -1
    for clock in (*NUMBERS, *dates):
        understood = sum(clock(cell) is not None for cell in cells)
        if understood > most:
            best, most = clock, understood
        if most == len(cells):
            break
    return best, most / max(len(cells), 1)


def is_number(clock: Clock) -> bool:
    return clock in NUMBERS


def is_of_our_days(cell: str) -> bool:
    """Whether a number can be a point in time of a log, and not only any number."""
    seconds = _read_compact(cell)
    seconds = _read_decimal_comma(cell) if seconds is None else seconds
    return seconds is not None and (EPOCH_SECONDS[0] <= seconds <= EPOCH_SECONDS[1])
