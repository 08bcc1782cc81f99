"""Reads sessions from a text file or a folder of them: a log of events, or one session a line."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from fl_core.datasets._session_cells import Row, read_rows
from fl_core.datasets._session_columns import Columns
from fl_core.datasets._session_events import Log, cut, find_gap, in_order
from fl_core.datasets._session_forms import Asked, Events, Form, Lists, find_form, find_like_form, names_in
from fl_core.datasets._session_lines import Line, read_lines
from fl_core.datasets._sessions import Sessions
from fl_core.errors import InputError

LOOKED_AT = 1000
# Real logs have cut lines, times that are none, a header in their middle. So many are left out; with more the file is misread.
INCOMPLETE_MAX = 0.1


def read_log(path: Path, asked: Asked, codes: dict[str, int], like: tuple[Form, float | None] | None = None) -> tuple[Log, Form]:
    """The sessions of a file and its form. Items are numbered from 0 in the order in which they are first met; `codes` holds the numbers and grows.

    `like`: form and break in minutes of the training file, which hold for the test file, too.
    """
    lines = read_lines(path)
    head = list(islice(lines, LOOKED_AT))
    if not head:
        raise InputError(f"'{path}' holds no sessions; it has an event or a session a line.")
    form = find_like_form(head, like[0], asked, path) if like else find_form(head, asked, path)
    lines = chain(head, lines)
    if isinstance(form, Lists):
        return _from_lines(lines, form, codes), form
    session, item, times = _events(read_rows(lines, form.delimiter, path), form, path, codes)
    order = in_order(session, item, times)
    session, item, times = session[order], item[order], [time[order] for time in times]
    if not len(item):
        raise InputError(f"'{path}' holds no events but only a header; it has an event or a session a line.")
    if not form.columns.timed:
        return Log(Sessions(item, np.bincount(session))), form
    gap = asked.gap_minutes or (like[1] if like else find_gap(session, times[0], form.columns.people))
    return cut(session, item, times[0], gap), form


def _from_lines(lines: Iterable[Line], form: Lists, codes: dict[str, int]) -> Log:
    items, lengths = array("i"), array("q")
    for _, line in lines:
        if line != form.header:
            rest = line.strip().partition(form.after)[2] if form.after else line
            names = names_in(rest, form.delimiter)
            if form.left_out:
                names = [name for name in names if name not in form.left_out]
            items.extend(codes.setdefault(name, len(codes)) for name in names)
            lengths.append(len(names))
    return Log(Sessions(np.array(items), np.array(lengths)))


def _events(rows: Iterable[Row], form: Events, path: Path, codes: dict[str, int]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Session and item of each event as numbers from 0 on, and its times in seconds; InputError where too many lines lack one.

    An event without an item, such as a look at a shop's front page, is none of a session.
    """
    owners: dict[str, int] = {}
    columns, header = form.columns, form.header
    session, item, times = array("i"), array("i"), [array("d") for _ in columns.times]
    wrong: list[str] = []
    last = max(columns.session, columns.item, *(place for place, _ in columns.times))
    for line, cells in rows:
        if cells == header:
            continue
        found = _times(cells, columns, last)
        if found is None:
            wrong.append("" if wrong else _sentence(cells, columns, f"'{path}'", line))
        elif cells[columns.item]:
            session.append(owners.setdefault(cells[columns.session], len(owners)))
            item.append(codes.setdefault(cells[columns.item], len(codes)))
            for column, time in zip(times, found, strict=True):
                column.append(time)
    if len(wrong) > INCOMPLETE_MAX * (len(wrong) + len(item)):
        raise InputError(wrong[0])
    return np.array(session), np.array(item), [np.array(time) for time in times]


def _times(cells: Sequence[str], columns: Columns, last: int) -> list[float] | None:
    """An event's times in seconds; None where one is no time, or the event lacks its session or a cell up to the last that is read."""
    if len(cells) <= last or not cells[columns.session]:
        return None
    found = [seconds for place, clock in columns.times if (seconds := clock(cells[place])) is not None]
    return found if len(found) == len(columns.times) else None


def _sentence(cells: Sequence[str], columns: Columns, file: str, line: int) -> str:
    unread = [cells[place] for place, clock in columns.times if len(cells) > place and cells[place] and clock(cells[place]) is None]
    if not unread:
        return f"{file} lacks session, item or time at line {line}; fill the cell or leave the line out."
    return f"{file} holds '{unread[0]}' at line {line}, where a time belongs; write a number or a date such as 2014-04-07T10:51:09Z."
