"""Reads sessions from a text file, plain or gzip: a log of events, or one session a line."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from fl_core.datasets._bytes import read_bytes
from fl_core.datasets._session_columns import Columns, find_columns
from fl_core.datasets._session_times import seconds_of
from fl_core.datasets._sessions import Sessions
from fl_core.errors import InputError

Layout = Literal["auto", "events", "lines"]
DELIMITERS = "\t;|,"
LOOKED_AT = 1000
TITLES = {"item", "items", "session", "sessions", "sequence", "sequences", "clicks"}


@dataclass(frozen=True)
class Log:
    """Sessions in the order in which they ended, or, where no times are known, of the file; `ends` (sessions,) in seconds."""

    sessions: Sessions
    ends: np.ndarray | None


def read_log(path: Path, layout: Layout, wanted: dict[str, str | None], delimiter: str | None, codes: dict[str, int]) -> Log:
    """The sessions of a file. Items are numbered from 0 in the order in which they are first met; `codes` holds the numbers and grows."""
    text = _text(path)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(f"'{path}' holds no sessions; it has an event or a session a line.")
    delimiter = delimiter or _delimiter([line for _, line in lines[:LOOKED_AT]])
    if layout != "lines":
        first = [cells for _, cells in islice(_rows(lines, delimiter, path), LOOKED_AT)]
        columns = find_columns(first, wanted, path)
        if columns is not None:
            return _from_events(list(_rows(lines, delimiter, path))[columns.header :], columns, path, codes)
        if layout == "events":
            raise InputError(f"data.layout is 'events', but '{path}' does not show which columns hold session and item; set data.session and data.item.")
    return _from_lines(lines, delimiter, codes)


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error


def _delimiter(lines: Sequence[str]) -> str:
    """The special character that most lines have, white space where none has one."""
    counts = {delimiter: sum(delimiter in line for line in lines) for delimiter in DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else " "


def _rows(lines: Sequence[tuple[int, str]], delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line, with the line's number."""
    if delimiter == " ":
        yield from ((number, line.split()) for number, line in lines)
        return
    # Between tabs a quotation mark is a letter like others: titles of songs have them.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader((line for _, line in lines), delimiter=delimiter, skipinitialspace=True, quoting=quoting)
    try:
        for cells in reader:
            yield lines[reader.line_num - 1][0], [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(f"'{path}' cannot be read at line {lines[reader.line_num - 1][0]}: {error}.") from error


def _from_lines(lines: Sequence[tuple[int, str]], delimiter: str, codes: dict[str, int]) -> Log:
    split = None if delimiter == " " else delimiter
    rows = [[name for cell in line.strip("[]() \t").split(split) if (name := cell.strip(" \t\"'"))] for _, line in lines]
    if len(rows) > 1 and len(rows[0]) == 1 and rows[0][0].lower() in TITLES:
        rows = rows[1:]
    items = np.array([codes.setdefault(name, len(codes)) for row in rows for name in row], np.int64)
    return Log(Sessions(items, np.array([len(row) for row in rows], np.int64)), None)


def _from_events(rows: Sequence[tuple[int, list[str]]], columns: Columns, path: Path, codes: dict[str, int]) -> Log:
    """Events sorted by session and time; an event that is there twice, at the same time in the same session, counts once."""
    last = max(columns.session, columns.item, *columns.times)
    for line, cells in rows:
        if len(cells) <= last or not cells[columns.session] or not cells[columns.item]:
            raise InputError(f"'{path}' lacks session, item or time at line {line}; fill the cell or leave the line out.")
    owners: dict[str, int] = {}
    session = np.array([owners.setdefault(cells[columns.session], len(owners)) for _, cells in rows], np.int64)
    item = np.array([codes.setdefault(cells[columns.item], len(codes)) for _, cells in rows], np.int64)
    times = [_times(rows, place, path) for place in columns.times]
    order = np.lexsort([*reversed(times), session])
    session, item, times = session[order], item[order], [time[order] for time in times]
    if times:
        kept = _first_of_equals([session, *times], item)
        session, item, times = session[kept], item[kept], [time[kept] for time in times]
    lengths = np.bincount(session, minlength=len(owners))
    found = Sessions(item, lengths)
    if not times:
        return Log(found, None)
    ends = times[0][np.cumsum(lengths) - 1]
    by_end = np.argsort(ends, kind="stable")
    return Log(found.reorder(by_end), ends[by_end])


def _times(rows: Sequence[tuple[int, list[str]]], place: int, path: Path) -> np.ndarray:
    seconds = [seconds_of(cells[place]) for _, cells in rows]
    if None in seconds:
        line, cells = rows[seconds.index(None)]
        raise InputError(f"'{path}' holds '{cells[place]}' at line {line}, where a time belongs; write a number or a date such as 2014-04-07T10:51:09Z.")
    return np.array(seconds, np.float64)


def _first_of_equals(keys: Sequence[np.ndarray], item: np.ndarray) -> np.ndarray:
    """A mask of the events that are not the same in all keys and the item as an earlier one."""
    order = np.lexsort([item, *reversed(keys)])
    same = np.ones(max(len(item) - 1, 0), bool)
    for values in (*keys, item):
        same &= values[order][1:] == values[order][:-1]
    kept = np.ones(len(item), bool)
    kept[order[1:][same]] = False
    return kept
