"""LEAF's Sent140 from Sentiment140's tables (Go, Bhayani and Huang 2009): every person who tweets is a user, every tweet a sample.

A line holds polarity (4 for a happy tweet), id, date, query, user and text, all quoted and without a header (Caldas et al. 2018,
https://arxiv.org/abs/1812.01097).
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from fl_core.datasets._bytes import read_bytes
from fl_core.errors import InputError
from fl_core.leaf.files import write_file

CELLS = 6
HAPPY, USER = "4", 4


def write_tweets(tables: Sequence[Path], out: Path) -> list[int]:
    """Writes `all_data/all_data.json` from the tables in their order; gives each user's number of samples.

    As in LEAF a sample's x are the cells behind the polarity and the table's part, `training` of the first and `test` of the others.
    """
    path = out / "all_data" / "all_data.json"
    if path.parent.exists():
        raise InputError(f"'{path.parent}' exists already; name another folder.")
    users: dict[str, dict[str, list[Any]]] = {}
    for place, table in enumerate(tables):
        for polarity, *cells in read_tweets(table):
            data = users.setdefault(cells[USER - 1], {"x": [], "y": []})
            data["x"].append([*cells, "test" if place else "training"])
            data["y"].append(int(polarity == HAPPY))
    if not users:
        raise InputError(f"'{tables[0]}' holds no tweets; it is one of Sentiment140's tables, such as training.1600000.processed.noemoticon.csv.")
    write_file(path, dict(sorted(users.items())))
    return [len(data["y"]) for _, data in sorted(users.items())]


def read_tweets(table: Path) -> Iterator[list[str]]:
    """The cells of each line of a table in Latin-1, plain or gzip; InputError where a line is none of Sentiment140's."""
    reader = csv.reader(StringIO(read_bytes(table).decode("latin-1"), newline=""))
    try:
        for row in filter(None, reader):
            if len(row) != CELLS or not row[0].isdigit() or not row[USER]:
                raise InputError(
                    f"'{table}' holds {len(row)} cells at line {reader.line_num}, beginning with '{row[0]}'; "
                    "a line of Sentiment140 holds polarity, id, date, query, user and text, without a header."
                )
            yield row
    except csv.Error as error:
        raise InputError(f"'{table}' cannot be read at line {reader.line_num}: {error}.") from error
