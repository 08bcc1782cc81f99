"""How a file is laid out: which cells of an event hold what, or how the items of a line are parted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from fl_core.datasets._session_cells import Row, find_delimiter, read_rows
from fl_core.datasets._session_columns import Columns, Sample, find_columns, look_at
from fl_core.datasets._session_header import are_titles
from fl_core.datasets._session_kinds import are_lists_of_ids, find_padding
from fl_core.datasets._session_lines import Line
from fl_core.datasets._session_traits import MOST, shape_of
from fl_core.errors import InputError

Layout = Literal["auto", "events", "lines"]
# What encloses a list of items, and one of them.
MARKS, QUOTES = "[](){} \t\"'", " \t\"'"
# So many first cells that grow from line to line are numbers of the lines.
NUMBERED_MIN = 20


@dataclass(frozen=True)
class Asked:
    """What the job says of its files; None where it leaves it to be found."""

    layout: Layout
    columns: Mapping[str, str | None]
    delimiter: str | None
    gap_minutes: float | None


@dataclass(frozen=True)
class Events:
    """One event a line. `header`: cells of lines that are no events, where they come again as well."""

    delimiter: str
    columns: Columns
    header: Sequence[str] | None


@dataclass(frozen=True)
class Lists:
    """One session a line, parted by `delimiter`, after an id that ends at `after`; `left_out` are words that fill up, `header` is a line above."""

    delimiter: str
    after: str | None
    left_out: frozenset[str]
    header: str | None


Form = Events | Lists


def find_form(head: Sequence[Line], asked: Asked, path: Path) -> Form:
    """How a file with such first lines is laid out; InputError where they show columns, but not which hold what."""
    delimiter = asked.delimiter or find_delimiter([line for _, line in head])
    sample = look_at(_cells(head, delimiter, path), asked.columns)
    if asked.layout != "lines":
        columns = find_columns(sample, asked.columns, path)
        if columns is not None:
            return Events(delimiter, columns, sample.header)
        if asked.layout == "events":
            raise InputError(f"data.layout is 'events', but '{path}' does not show which columns hold session and item; set data.session and data.item.")
    return _lists([line for _, line in head], sample, delimiter)


def find_like_form(head: Sequence[Line], like: Form, asked: Asked, path: Path) -> Form:
    """The form of the training file, unless a file has another header."""
    if isinstance(like, Lists):
        return like
    rows = _cells(head, like.delimiter, path)
    if rows[0] == like.header or look_at(rows, asked.columns).header is None:
        return like
    return find_form(head, asked, path)


def _cells(head: Sequence[Line], delimiter: str, path: Path) -> list[list[str]]:
    """The rows of the first lines; InputError where a quotation mark swallows most of them."""
    rows: list[Row] = list(read_rows(head, delimiter, path))
    if 2 * len(rows) < len(head):
        raise InputError(f"'{path}' opens a quotation at line {([0] + [number for number, _ in rows])[-2] + 1} that goes on for many lines; close it there.")
    return [cells for _, cells in rows]


def names_in(line: str, delimiter: str) -> list[str]:
    """The names of a line, without what encloses them."""
    return [name for cell in line.strip(MARKS).split(delimiter.strip() or None) if (name := cell.strip(QUOTES))]


def _lists(lines: Sequence[str], sample: Sample, delimiter: str) -> Lists:
    rows = [names_in(line, delimiter) for line in lines]
    header = lines[0] if sample.header or are_titles(rows[0]) else None
    lines, rows = (lines[1:], rows[1:]) if header else (lines, rows)
    if are_lists_of_ids(sample.traits):
        inner = find_delimiter([line.partition(delimiter)[2].strip(MARKS) for line in lines])
        return Lists(inner, delimiter, frozenset(), header)
    if sum(row[-1:] == ["-2"] for row in rows) >= MOST * len(rows) > 0:
        return Lists(delimiter, None, frozenset({"-1", "-2"}), header)
    padding = find_padding(rows) if sample.whole >= MOST else None
    return Lists(delimiter, _end_of_ids(rows, delimiter), frozenset([padding] if padding else []), header)


def _end_of_ids(rows: Sequence[Sequence[str]], delimiter: str) -> str | None:
    """What ends the number or name of its own that each row begins with, None where rows begin with items.

    A number grows from row to row, where rows are of several lengths and no window that moves over items; a name looks alike everywhere and like nothing
    behind it.
    """
    first = [row[0] for row in rows if row]
    grows = all(map(str.isdigit, first)) and all(int(a) < int(b) for a, b in pairwise(first))
    if grows and len(first) >= NUMBERED_MIN and len(set(map(len, rows))) > 1:
        return delimiter
    shapes, others = set(map(shape_of, first)), {shape_of(name) for row in rows for name in row[1:]}
    if len(shapes) != 1 or not others or shapes & others or len(set(first)) < MOST * len(first):
        return None
    shape = shapes.pop()
    if shape.count("0") == 2 and ":" in shape.strip(":"):
        return ":"
    return delimiter if "0" in shape else None
