"""Reads sessions from a text file: a log of events, or one session a line."""

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np

from fl_core.datasets._session_columns import Columns, find_columns
from fl_core.datasets._session_lines import Line, read_lines
from fl_core.datasets._session_times import seconds_of
from fl_core.datasets._sessions import Sessions
from fl_core.errors import InputError

Layout = Literal["auto", "events", "lines"]
Row = tuple[int, list[str]]
DELIMITERS = "\t;|,"
LOOKED_AT = 1000
TITLES = {"item", "items", "session", "sessions", "sequence", "sequences", "clicks"}
# Real logs have events without an item, a header in their middle, a last line that was cut. So many are left out; with more the file is misread.
INCOMPLETE_MAX = 0.1
# After so long a break people begin anew, as is usual for logs of people; ids whose events mostly span more than a day are people's.
GAP_MINUTES, SESSION_SECONDS_MAX = 30.0, 86_400


@dataclass(frozen=True)
class Log:
    """Sessions in the order in which they ended, or, where no times are known, of the file; `ends` (sessions,) in seconds."""

    sessions: Sessions
    ends: np.ndarray | None


def read_log(path: Path, layout: Layout, wanted: dict[str, str | None], delimiter: str | None, gap_minutes: float | None, codes: dict[str, int]) -> Log:
    """The sessions of a file. Items are numbered from 0 in the order in which they are first met; `codes` holds the numbers and grows."""
    lines = read_lines(path)
    head = list(islice(lines, LOOKED_AT))
    if not head:
        raise InputError(f"'{path}' holds no sessions; it has an event or a session a line.")
    delimiter = delimiter or _delimiter([line for _, line in head])
    if layout != "lines":
        columns = find_columns([cells for _, cells in _rows(head, delimiter, path)], wanted, path)
        if columns is not None:
            rows = islice(_rows(chain(head, lines), delimiter, path), int(columns.header), None)
            return _from_events(rows, columns, path, gap_minutes, codes)
        if layout == "events":
            raise InputError(f"data.layout is 'events', but '{path}' does not show which columns hold session and item; set data.session and data.item.")
    return _from_lines(chain(head, lines), delimiter, codes)


def _delimiter(lines: Sequence[str]) -> str:
    """The special character that most lines have, white space where none has one."""
    counts = {delimiter: sum(delimiter in line for line in lines) for delimiter in DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else " "


def _rows(lines: Iterable[Line], delimiter: str, path: Path) -> Iterator[Row]:
    """The cells of each line, with the line's number."""
    if delimiter == " ":
        yield from ((number, line.split()) for number, line in lines)
        return
    if delimiter == "\t":
        # Between tabs a quotation mark is a letter like others, unless it encloses the cell: titles of songs have them.
        yield from ((number, [_unquoted(cell) for cell in line.split("\t")]) for number, line in lines)
        return
    number = 0

    def text() -> Iterator[str]:
        nonlocal number
        for number, line in lines:  # noqa: B007
            yield line

    try:
        for cells in csv.reader(text(), delimiter=delimiter, skipinitialspace=True):
            yield number, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(f"'{path}' cannot be read at line {number}: {error}.") from error


def _unquoted(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _from_lines(lines: Iterable[Line], delimiter: str, codes: dict[str, int]) -> Log:
    split = None if delimiter == " " else delimiter
    items, lengths = array("q"), array("q")
    for place, (_, line) in enumerate(lines):
        names = [name for cell in line.strip("[]() \t").split(split) if (name := cell.strip(" \t\"'"))]
        if place or not (len(names) == 1 and names[0].lower() in TITLES):
            items.extend(codes.setdefault(name, len(codes)) for name in names)
            lengths.append(len(names))
    return Log(Sessions(np.array(items), np.array(lengths)), None)


def _from_events(rows: Iterable[Row], columns: Columns, path: Path, gap_minutes: float | None, codes: dict[str, int]) -> Log:
    """Events sorted by session and time; an event that is there twice, at the same time in the same session, counts once."""
    session, item, times = _events(rows, columns, path, codes)
    order = np.lexsort([*reversed(times), session])
    session, item, times = session[order], item[order], [time[order] for time in times]
    if not times:
        return Log(Sessions(item, np.bincount(session)), None)
    kept = _first_of_equals([session, *times], item)
    session, item, time = session[kept], item[kept], times[0][kept]
    gap = gap_minutes or (GAP_MINUTES if columns.people or _are_people(session, time) else None)
    begins = np.diff(session, prepend=-1) > 0
    if gap is not None:
        begins |= np.diff(time, prepend=time[0]) > gap * 60
    first = np.flatnonzero(begins)
    lengths = np.diff(first, append=len(item))
    found, ends = Sessions(item, lengths), time[first + lengths - 1]
    by_end = np.argsort(ends, kind="stable")
    return Log(found.reorder(by_end), ends[by_end])


def _events(rows: Iterable[Row], columns: Columns, path: Path, codes: dict[str, int]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Session and item of each event as numbers from 0 on, and its times in seconds; InputError where too many lines lack one."""
    owners: dict[str, int] = {}
    session, item, times = array("q"), array("q"), [array("d") for _ in columns.times]
    wrong: list[str] = []
    for line, cells in rows:
        found = _times(cells, columns)
        if found is None:
            wrong.append("" if wrong else _sentence(cells, columns, f"'{path}'", line))
            continue
        session.append(owners.setdefault(cells[columns.session], len(owners)))
        item.append(codes.setdefault(cells[columns.item], len(codes)))
        for column, time in zip(times, found, strict=True):
            column.append(time)
    if len(wrong) > INCOMPLETE_MAX * (len(wrong) + len(item)):
        raise InputError(wrong[0])
    return np.array(session), np.array(item), [np.array(time) for time in times]


def _times(cells: Sequence[str], columns: Columns) -> list[float] | None:
    """An event's times in seconds; None where it lacks a cell, or one is no time."""
    if _lacks(cells, columns):
        return None
    found = [seconds for place in columns.times if (seconds := seconds_of(cells[place])) is not None]
    return found if len(found) == len(columns.times) else None


def _lacks(cells: Sequence[str], columns: Columns) -> bool:
    return len(cells) <= max(columns.session, columns.item, *columns.times) or not cells[columns.session] or not cells[columns.item]


def _sentence(cells: Sequence[str], columns: Columns, file: str, line: int) -> str:
    if _lacks(cells, columns):
        return f"{file} lacks session, item or time at line {line}; fill the cell or leave the line out."
    unread = next(cells[place] for place in columns.times if seconds_of(cells[place]) is None)
    return f"{file} holds '{unread}' at line {line}, where a time belongs; write a number or a date such as 2014-04-07T10:51:09Z."


def _are_people(session: np.ndarray, time: np.ndarray) -> bool:
    """Whether most ids with several events span more than a day; sorted by session and time."""
    first = np.flatnonzero(np.diff(session, prepend=-1) > 0)
    last = np.append(first[1:], len(session)) - 1
    spans = (time[last] - time[first])[last > first]
    return bool(np.median(spans) > SESSION_SECONDS_MAX) if len(spans) else False


def _first_of_equals(keys: Sequence[np.ndarray], item: np.ndarray) -> np.ndarray:
    """A mask of the events that are not the same in all keys and the item as an earlier one."""
    order = np.lexsort([item, *reversed(keys)])
    same = np.ones(max(len(item) - 1, 0), bool)
    for values in (*keys, item):
        same &= values[order][1:] == values[order][:-1]
    kept = np.ones(len(item), bool)
    kept[order[1:][same]] = False
    return kept
