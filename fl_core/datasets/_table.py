"""A delimited text file as columns of cells, and its cells as numbers, with the line that is wrong in every error."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from fl_core.datasets._bytes import read_bytes
from fl_core.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Table:
    """The cells of each column, as text, and the line of the file that each row ends on."""

    path: Path
    cells: Mapping[str, Sequence[str]]
    lines: Sequence[int]

    def column(self, name: str, option: str) -> Sequence[str]:
        """A column's cells; `option` is what named it."""
        if name not in self.cells:
            raise InputError(f"data.{option} is '{name}', which is no column of '{self.path}'; {did_you_mean(name, self.cells)}")
        return self.cells[name]


def read_table(path: Path, delimiter: str) -> Table:
    """The file, whose first line names the columns; a name that ends in `.gz` is unpacked, blank lines are skipped."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    header, rows, lines = _rows(text, delimiter, path)
    if not rows:
        raise InputError(f"'{path}' holds no examples; its first line names the columns, and each line below is one example.")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise InputError(f"'{path}' has two columns called '{twice[0]}'; give each column a name of its own.")
    return Table(path, dict(zip(header, zip(*rows, strict=True), strict=True)), lines)


def numbers(table: Table, name: str, option: str) -> np.ndarray:
    """A column as float64."""
    cells = table.column(name, option)
    try:
        return np.array(cells, np.float64)
    except ValueError:
        row = next(row for row, cell in enumerate(cells) if not _is_number(cell))
        raise InputError(
            f"'{table.path}' holds '{cells[row]}' in column '{name}' at line {table.lines[row]}, where a number belongs; mend the cell or leave the column out."
        ) from None


def values(cells: Sequence[str]) -> np.ndarray:
    """The cells as int64 where all are whole numbers, as float64 where all are numbers, as text otherwise."""
    try:
        found = np.array(cells, np.float64)
    except ValueError:
        return np.array(cells)
    whole = np.isfinite(found).all() and (found == np.round(found)).all() and np.abs(found).max() < 2**53
    return found.astype(np.int64) if whole else found


def _rows(text: str, delimiter: str, path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the rows below it, and the line that each row ends on."""
    rows, lines = [], []
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(reader, [])
        for row in filter(None, reader):
            if len(row) != len(header):
                where = f"'{path}' has {len(row)} cells at line {reader.line_num}"
                raise InputError(f"{where}, but its first line names {len(header)} columns; quote cells that hold the delimiter.")
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"'{path}' cannot be read at line {reader.line_num}: {error}.") from error
    return header, rows, lines


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
