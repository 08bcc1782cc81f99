"""Which columns of an event file hold session, item and time: by their names, by what the job says, or by what lies in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from fl_core.datasets._session_times import seconds_of
from fl_core.errors import InputError, did_you_mean

# In the order of preference; names are compared in lower case without anything but letters and digits.
PEOPLE = ("visitorid", "visitor", "userid", "user", "uid", "username", "customerid", "customer")
KNOWN = {
    "session": ("sessionid", "session", "usersession", "sessid", "sid", "visitid", *PEOPLE),
    "item": (
        "itemid", "item", "productid", "product", "articleid", "clickarticleid", "article", "skuid", "sku", "aid", "trackid", "track", "songid", "song",
        "trackname", "videoid", "movieid", "newsid", "pageid", "page", "reference", "url", "artistid", "artist", "artistname",
    ),
    "time": ("timestamp", "time", "ts", "eventtime", "datetime", "eventtimestamp", "clicktimestamp", "unixtime", "eventdate", "date", "createdat"),
    "within": ("timeframe",),
}  # fmt: skip
# Parts of names by which a column is known where none has a name of those above, and words beside them that tell of something else.
PARTS = {"session": ("session", "visitor", "user"), "item": ("item", "product", "article", "track", "song"), "time": ("timestamp", "time", "date")}
OTHERS = ("type", "name", "category", "price", "count", "number", "length", "duration", "start", "end", "action", "event")
# A log has so many whole lines; in a file of one session a line these are of many lengths.
WHOLE_MIN = 0.9
EPOCH_SECONDS = ((3e8, 5e9), (3e11, 5e12), (3e14, 5e15), (3e17, 5e18))


@dataclass(frozen=True)
class Columns:
    """Places of the columns, counted from 0: the times by which events are ordered, coarse before fine, and whether the first row is a header.

    `people`: the header says that the sessions' ids are those of people, whose events go on for months.
    """

    session: int
    item: int
    times: tuple[int, ...]
    header: bool
    people: bool = False


def find_columns(rows: Sequence[Sequence[str]], wanted: dict[str, str | None], path: Path) -> Columns | None:
    """The columns of a file that starts with these rows, None where it does not look like events. `wanted` holds what the job calls them."""
    header = rows[0]
    named = {kind: _named(kind, wanted.get(kind), header) for kind in KNOWN}
    if named["session"] is not None and named["item"] is not None:
        times = tuple(place for kind in ("time", "within") if (place := named[kind]) is not None)
        return Columns(named["session"], named["item"], times, True, _plain(header[named["session"]]).startswith(("visitor", "user", "uid", "customer")))
    if any(wanted.values()):
        return _placed(header, wanted, path)
    if _is_header(rows):
        missing = "session" if named["session"] is None else "item"
        raise InputError(f"'{path}' names the columns {', '.join(header)}, none of which is known for a {missing}; set data.{missing} to one of them.")
    return _guessed(rows)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _named(kind: str, wanted: str | None, header: Sequence[str]) -> int | None:
    if wanted is not None:
        return list(header).index(wanted) if wanted in header else None
    plain = [_plain(name) for name in header]
    exact = (plain.index(name) for name in KNOWN[kind] if name in plain)
    akin = (place for part in PARTS.get(kind, ()) for place, name in enumerate(plain) if part in name and not any(other in name for other in OTHERS))
    return next(exact, next(akin, None))


def _placed(header: Sequence[str], wanted: dict[str, str | None], path: Path) -> Columns:
    """Columns that the job gives by their places, from 1; InputError where a name is none of the header's."""
    places = {}
    for kind, name in wanted.items():
        if name is None:
            continue
        if not name.isdigit():
            raise InputError(f"data.{kind} is '{name}', which is no column of '{path}'; {did_you_mean(name, header)}")
        if not 1 <= int(name) <= len(header):
            raise InputError(f"data.{kind} is {name}, but the lines of '{path}' have {len(header)} cells; count them from 1.")
        places[kind] = int(name) - 1
    for kind in ("session", "item"):
        if kind not in places:
            raise InputError(f"data.{kind} is missing; '{path}' has no header that tells it, so give its place, from 1.")
    return Columns(places["session"], places["item"], (places["time"],) if "time" in places else (), False)


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is all words above a row that has numbers."""
    return len(rows) > 1 and len(rows[0]) == len(rows[1]) and not any(map(_number, rows[0])) and any(map(_number, rows[1]))


def _guessed(rows: Sequence[Sequence[str]]) -> Columns | None:
    """Session first, then time and item in either order, or time first: events only where rows are as long, and a time or repeating sessions show."""
    width = int(np.bincount([len(row) for row in rows]).argmax())
    whole = [row for row in rows if len(row) == width]
    if width < 2 or len(whole) < WHOLE_MIN * len(rows):
        return None
    rows = whole
    if width > 2 and all(_is_time(row[0]) for row in rows):
        return Columns(1, max(range(2, width), key=lambda place: _variety([row[place] for row in rows])), (0,), False)
    time = next((place for place in range(1, width) if all(_is_time(row[place]) for row in rows)), None)
    if time is not None and width > 2:
        return Columns(0, 2 if time == 1 else 1, (time,), False)
    repeated = sum(before[0] == after[0] for before, after in pairwise(rows))
    if 2 * repeated < len(rows) - 1 or len(rows) < 2:
        return None
    if width == 2:
        return Columns(0, 1, (), False)
    return Columns(0, 2, (1,), False) if _grows(rows) else None


def _variety(cells: Sequence[str]) -> tuple[int, bool]:
    """How many different values a column has, and whether they are numbers: items have more than kinds of events."""
    return len(set(cells)), all(map(_number, cells))


def _grows(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the second cell is a number that never falls within a session."""
    numbers = [_number(row[1]) for row in rows]
    return all(numbers) and all(a[0] != b[0] or float(a[1]) <= float(b[1]) for a, b in pairwise(rows))


def _number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", cell.strip()))


def _is_time(cell: str) -> bool:
    if _number(cell):
        return any(low <= float(cell) <= high for low, high in EPOCH_SECONDS)
    return seconds_of(cell) is not None
