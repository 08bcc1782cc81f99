"""Sessions from events in any order: sorted by time, without what is there twice, and cut where people begin anew."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fl_core.datasets._sessions import Sessions

# After so long a break people begin anew, as is usual for logs of people; ids whose events mostly span more than a day are people's.
GAP_MINUTES, SESSION_SECONDS_MAX = 30.0, 86_400
# Times that are all whole hours or days do not show breaks of half an hour.
HOUR_SECONDS = 3600


@dataclass(frozen=True)
class Log:
    """Sessions in the order in which they ended, or, where no times are known, of the file; `ends` (sessions,) in seconds, `gap_minutes` the break."""

    sessions: Sessions
    ends: np.ndarray | None = None
    gap_minutes: float | None = None


def find_gap(session: np.ndarray, time: np.ndarray, people: bool) -> float | None:
    """The break in minutes after which a session begins; None where ids are sessions already, or times too coarse to show a break."""
    if np.all(time % HOUR_SECONDS == 0):
        return None
    return GAP_MINUTES if people or _are_people(session, time) else None


def in_order(session: np.ndarray, item: np.ndarray, times: Sequence[np.ndarray]) -> np.ndarray:
    """The numbers of the events by session and time; of an event that is there twice, at the same time in the same session, only the first."""
    if not times:
        return np.argsort(session, kind="stable")
    kept = np.flatnonzero(_first_of_equals([session, *times], item))
    return np.asarray(kept[np.lexsort([*(time[kept] for time in reversed(times)), session[kept]])])


def cut(session: np.ndarray, item: np.ndarray, time: np.ndarray, gap_minutes: float | None) -> Log:
    """Sessions in the order of their ends, of events in order."""
    begins = np.diff(session, prepend=-1) > 0
    if gap_minutes is not None:
        begins |= np.diff(time, prepend=time[:1]) > gap_minutes * 60
    first = np.flatnonzero(begins)
    lengths = np.diff(first, append=len(item))
    found, ends = Sessions(item, lengths), time[first + lengths - 1]
    by_end = np.argsort(ends, kind="stable")
    return Log(found.reorder(by_end), ends[by_end], gap_minutes)


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
