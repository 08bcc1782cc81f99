"""What columns are to each other: items of one kind side by side, as in a file of one session a line, or the parts of events."""

from collections.abc import Sequence
from itertools import combinations, groupby, pairwise

import numpy as np

from fl_core.datasets._session_traits import MOST, Trait

# Columns that share fewer of their values hold different things, and so do columns of which one has so many times the values of the other.
SHARED_MIN, SIZES_MAX = 0.1, 4
# Where so many values come again, columns of one kind would share many; fewer rows say nothing about ranges.
DIFFERENT_MAX, AGAIN_MIN, ROWS_MIN = 0.8, 3, 5
# Lines that are filled up end in runs of so many lengths; flags at the end of an event do not.
RUNS_MIN = 3


def are_alike(traits: Sequence[Trait]) -> bool:
    """Whether all columns may hold items: nothing about them says that they are of different kinds."""
    if len({trait.is_of_our_days for trait in traits}) > 1:
        return False
    if find_padding(list(zip(*(trait.cells for trait in traits), strict=True))) is not None:
        return True
    shapes = {trait.shape for trait in traits}
    if len(shapes) == 1 and any(map(str.isalpha, traits[0].shape or "")):
        return True
    if len({(trait.numeric, trait.fractional, trait.lists) for trait in traits}) > 1 or (len(shapes) > 1 and all("0" in (shape or "") for shape in shapes)):
        return False
    return not _come_in_blocks(traits[0], 1 if len(traits) == 2 else AGAIN_MIN) and not any(_are_apart(*pair) for pair in combinations(traits, 2))


def find_padding(rows: Sequence[Sequence[str]]) -> str | None:
    """The cell that fills rows up to one length, None where nothing does: it is there at the ends of rows only, and in runs of several lengths."""
    for padding in ("0", ""):
        runs = set()
        for row in rows:
            run = next((place for place, cell in enumerate(reversed(row)) if cell != padding), len(row))
            if padding in row[: len(row) - run]:
                break
            runs.add(run)
        else:
            if len(runs) >= RUNS_MIN:
                return padding
    return None


def are_lists_of_ids(traits: Sequence[Trait]) -> bool:
    """Whether each row is a session's id and the list of its items."""
    if len(traits) != 2 or traits[0].lists:
        return False
    ids, items = traits
    several = sum(len(cell.split()) > 1 for cell in items.full) > 0.5 * len(items.cells) and not items.is_date
    return items.lists or (several and len(ids.values) >= MOST * len(ids.cells) >= MOST * ROWS_MIN and "0" in (ids.shape or ""))


def find_time(traits: Sequence[Trait]) -> int | None:
    """Among columns that can be points in time dates come first, then whole days and hours, then what grows, then what repeats the least, as ids do not."""
    ranks = {
        place: (trait.is_date, trait.whole_hours, trait.grows or grows_within(traits[0], trait), len(trait.values))
        for place, trait in enumerate(traits)
        if trait.is_time
    }
    best = max(ranks, key=lambda place: ranks[place], default=None)
    if best is None or any(ranks[best][:3]):
        return best
    # It may be an item's number as well, and is one where nothing else can be.
    others = [trait for place, trait in enumerate(traits) if place not in (0, best)]
    return best if any(may_be_items(trait) and len(trait.values) > 1 for trait in others) else None


def may_be_items(trait: Trait) -> bool:
    return 2 * trait.filled > 1 and not (trait.fractional or trait.is_date or trait.lists)


def grows_within(session: Trait, trait: Trait) -> bool:
    """Whether it numbers the events of a session, or is another number that grows in it."""
    if not trait.numeric or len(trait.numbers) < len(trait.cells):
        return False
    steps = [after - before for (a, before), (b, after) in pairwise(zip(session.cells, trait.numbers, strict=True)) if a == b]
    return len(steps) >= max(AGAIN_MIN, 0.1 * len(trait.cells)) and min(steps) >= 0 and 2 * sum(step > 0 for step in steps) >= len(steps)


def _come_in_blocks(trait: Trait, least: int) -> bool:
    """Whether a value's rows follow each other, as those of a session do; `least`: so often at least."""
    blocks = sum(1 for _ in groupby(trait.cells))
    again = len(trait.cells) - blocks
    often = again >= least and again >= 0.1 * (len(trait.cells) - 1)
    return often and (2 * again >= len(trait.cells) - 1 or trait.grows or blocks == len(trait.values))


def _are_apart(one: Trait, other: Trait) -> bool:
    """Whether two columns hold different things, by how many values they have, share and repeat, and by their ranges."""
    fewer, more = sorted((len(one.values), len(other.values)))
    if more > SIZES_MAX * fewer:
        return True
    if len(one.values & other.values) >= SHARED_MIN * fewer:
        return False
    return any(_come_again(trait) for trait in (one, other)) or _ranges_are_apart(one, other)


def _come_again(trait: Trait) -> bool:
    return len(trait.values) < DIFFERENT_MAX * len(trait.cells) and len(trait.cells) - len(trait.values) >= AGAIN_MIN


def _ranges_are_apart(one: Trait, other: Trait) -> bool:
    if not (one.numeric and other.numeric) or len(one.cells) < ROWS_MIN:
        return False
    (low, high), (least, most) = (np.percentile(trait.numbers, (5, 95)) for trait in (one, other))
    return bool(high < least or most < low)
