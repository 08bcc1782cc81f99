"""Which columns of an event file hold session, item and time: by their names, by what the job says, or by what lies in them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fl_core.datasets._session_header import KNOWN, are_people, are_titles, is_header, places
from fl_core.datasets._session_kinds import are_alike, are_lists_of_ids, find_time, grows_within, may_be_items
from fl_core.datasets._session_times import Clock
from fl_core.datasets._session_traits import MOST, Trait
from fl_core.errors import InputError, did_you_mean

Wanted = Mapping[str, str | None]
WAY_OUT = "set data.session and data.item to the columns' places, from 1, or data.layout to lines"

# Parts of the names of columns that hold the items so far of each event.
LIST_NAMES = ("list", "seq", "history")


@dataclass(frozen=True)
class Sample:
    """A file's first rows: the header, where there is one, the share of rows with the usual number of cells, and what these rows' columns hold."""

    header: Sequence[str] | None
    whole: float
    traits: Sequence[Trait]


@dataclass(frozen=True)
class Columns:
    """Places of the columns, counted from 0; `times` order a session's events, coarse before fine, each with the reader of its cells.

    `timed`: the first of the times is a point in time and not only a place in the session. `people`: the header says that the sessions' ids are those of
    people.
    """

    session: int
    item: int
    times: tuple[tuple[int, Clock], ...]
    timed: bool
    people: bool = False


def look_at(rows: Sequence[Sequence[str]], wanted: Wanted) -> Sample:
    """`wanted`: what the job calls the columns, which tells a header as well."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    whole = [row for row in rows if len(row) == width]
    below = _traits([row for row in rows[1:] if len(row) == width], len(rows[0]))
    named = any(name in rows[0] for name in wanted.values() if name and not name.isdigit())
    # A single cell above many is a remark.
    if named or ((len(rows[0]) > 1 or width == 1 or are_titles(rows[0])) and is_header(rows[0], below)):
        return Sample(rows[0], len(whole) / len(rows), below)
    return Sample(None, len(whole) / len(rows), _traits(whole, width))


def _traits(rows: Sequence[Sequence[str]], width: int) -> list[Trait]:
    return [Trait(tuple(cells)) for cells in zip(*rows, strict=True)] if rows else width * [Trait(())]


def find_columns(sample: Sample, wanted: Wanted, path: Path) -> Columns | None:
    """The columns of a file with such rows, None where it does not look like events; InputError where it does, but not which columns hold what."""
    given = {kind: _given(kind, name, sample, path) for kind, name in wanted.items() if name is not None}
    if given or sample.header:
        return None if not given and _are_sessions(sample) else _named(sample, given, path)
    return _guessed(sample, path)


def _are_sessions(sample: Sample) -> bool:
    """Whether what is below a header are sessions: under one title, ids with lists, or columns of one kind under names that say nothing."""
    header = sample.header or ()
    return len(header) == 1 or are_lists_of_ids(sample.traits) or (not any(places(kind, header) for kind in KNOWN) and are_alike(sample.traits))


def _named(sample: Sample, given: Mapping[str, int], path: Path) -> Columns:
    """The columns that the job gives, the others by their names."""
    header = sample.header or ()
    found = {kind: given.get(kind, _fullest(places(kind, header), sample.traits)) for kind in KNOWN}
    session, item = found["session"], found["item"]
    if session is None or item is None:
        missing = "session" if session is None else "item"
        if header:
            raise InputError(f"'{path}' names the columns {', '.join(header)}, none of which is known for a {missing}; set data.{missing} to one of them.")
        raise InputError(f"data.{missing} is missing; '{path}' has no header that tells it, so give its place, from 1.")
    _refuse_lists(sample, item, path)
    times = tuple((place, sample.traits[place].clock) for kind in ("time", "within") if (place := found[kind]) is not None)
    return Columns(session, item, times, found["time"] is not None, bool(header) and are_people(header[session]))


def _given(kind: str, name: str, sample: Sample, path: Path) -> int:
    """The place of a column that the job gives by its name or its place, from 1."""
    header = list(sample.header or ())
    if name in header:
        return header.index(name)
    if not name.isdigit():
        raise InputError(f"data.{kind} is '{name}', which is no column of '{path}'; {did_you_mean(name, header)}")
    if not 1 <= int(name) <= len(sample.traits):
        raise InputError(f"data.{kind} is {name}, but the lines of '{path}' have {len(sample.traits)} cells; count them from 1.")
    return int(name) - 1


def _fullest(found: Sequence[int], traits: Sequence[Trait]) -> int | None:
    """The first of the columns that is filled mostly, if none is the first."""
    there = [place for place in found if place < len(traits)]
    return next((place for place in there if 2 * traits[place].filled > 1), there[0] if there else None)


def _refuse_lists(sample: Sample, item: int, path: Path) -> None:
    """Files with a list of items beside an item have a session again for each of its items, as RecBole's augmented ones."""
    header = sample.header or ()
    lists = [name for name, trait in zip(header, sample.traits, strict=False) if trait.lists and any(word in name.lower() for word in LIST_NAMES)]
    if lists or sample.traits[item].lists:
        name = lists[0] if lists else item + 1
        raise InputError(f"'{path}' holds several items in a cell of column {name} beside other columns; write one event or one session a line.")


def _guessed(sample: Sample, path: Path) -> Columns | None:
    """Session first, or time first and session second; the item is what has the most different values of what is left."""
    traits = sample.traits
    if sample.whole < MOST or len(traits) < 2 or are_lists_of_ids(traits) or are_alike(traits):
        return None
    time = find_time(traits)
    session = 1 if time == 0 else 0
    rest = [place for place, trait in enumerate(traits) if place not in (session, time) and may_be_items(trait)]
    rest = [place for place in rest if not grows_within(traits[session], traits[place])] or rest
    if not rest or any(trait.lists for trait in traits):
        raise InputError(f"'{path}' looks like a table of {len(traits)} columns, but not which of them hold session and item; {WAY_OUT}.")
    item = max(rest, key=lambda place: (traits[place].filled >= MOST, len(traits[place].values), traits[place].coded))
    return Columns(session, item, () if time is None else ((time, traits[time].clock),), time is not None)
