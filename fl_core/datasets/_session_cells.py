"""The cells of each line: between delimiters, or the values of a line of JSON."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fl_core.datasets._session_header import places
from fl_core.datasets._session_lines import Line
from fl_core.errors import InputError

Row = tuple[int, list[str]]
DELIMITERS = "\t;|,"
# What MovieLens has between its cells; and the mark of lines that are JSON objects.
COLONS, OBJECTS, SPACES = "::", "{", " "
# A date and a clock time with a space between them are one cell also where spaces part the cells.
PARTED_DATE = re.compile(r"(\d{4}-\d\d?-\d\d?) (?=\d\d?:\d\d)")


def find_delimiter(lines: Sequence[str]) -> str:
    """The special character that most lines have, white space where none has one."""
    if all(line.startswith(OBJECTS) for line in lines):
        return OBJECTS
    if all(COLONS in line for line in lines):
        return COLONS
    counts = {delimiter: sum(delimiter in line for line in lines) for delimiter in DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else SPACES


def read_rows(lines: Iterable[Line], delimiter: str, path: Path) -> Iterator[Row]:
    """The cells of each line, with the line's number; of JSON objects first their keys."""
    if delimiter == SPACES:
        return ((number, (PARTED_DATE.sub(r"\1T", line) if ":" in line else line).split()) for number, line in lines)
    if delimiter == OBJECTS:
        return _objects(lines, path)
    if delimiter in ("\t", COLONS):
        # Between tabs a quotation mark is a letter like others, unless it encloses the cell: titles of songs have them.
        return ((number, [_unquoted(cell) for cell in line.split(delimiter)]) for number, line in lines)
    return _comma_separated(lines, delimiter, path)


def _unquoted(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _comma_separated(lines: Iterable[Line], delimiter: str, path: Path) -> Iterator[Row]:
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


def _objects(lines: Iterable[Line], path: Path) -> Iterator[Row]:
    """A row for each event of an object that lists them, as in OTTO's files, or for the object itself."""
    keys: list[str] = []
    for number, line in lines:
        try:
            events = list(_events(json.loads(line)))
        except (ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"'{path}' cannot be read at line {number}: it begins with JSON objects, but this is none.") from error
        if events and not keys:
            keys = list(events[0])
            yield number, keys
        for event in events:
            yield number, [str(event.get(key, "")) for key in keys]


def _events(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object itself where it names an item, else what its first list holds, each with all else that the object says."""
    plain = {key: value for key, value in found.items() if not isinstance(value, (list, dict))}
    several = next((key for key, value in found.items() if isinstance(value, list)), None)
    if several is None or places("item", list(plain)):
        yield plain
        return
    for event in found[several]:
        yield {**plain, **(event if isinstance(event, dict) else {several: event})}
