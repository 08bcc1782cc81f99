"""Sessions of people who look at one item after the other, from a log of events or from a file of one session a line, to tell the next item."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.datasets._items import count_items, digest_items, read_items
from fl_core.datasets._options import TestShare
from fl_core.datasets._session_events import Log
from fl_core.datasets._session_files import read_log
from fl_core.datasets._session_forms import Asked, Layout
from fl_core.datasets._sessions import LONGEST, Sessions, examples_of, last_share
from fl_core.errors import InputError
from fl_core.types import CentralData, Meaning

SECONDS_A_DAY = 86_400
Column = str | int | None
Steps = Annotated[int, Field(ge=1)]


def sessions(
    path: Path,
    layout: Layout = "auto",
    session: Column = None,
    item: Column = None,
    time: Column = None,
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None,
    gap_minutes: Annotated[float, Field(gt=0)] | None = None,
    test_path: Path | None = None,
    test_share: TestShare = 0.2,
    test_days: Annotated[float, Field(gt=0)] | None = None,
    min_item_count: Annotated[int, Field(ge=1)] = 1,
    items_path: Path | None = None,
    longest: Annotated[int, Field(ge=1, le=10_000)] = LONGEST,
    training_steps_max: Steps | None = None,
    test_steps_max: Steps | None = None,
) -> CentralData:
    """x (N, steps) int32, items from 1 on and 0 behind the end, y (N, steps) the item after each; column `length`.

    Items are numbered by the lines of `items_path`, others left out; without it by how common they are, the most common first.

    The test half are the sessions of a second file, those that ended in the last days, or the last share of them (in the order of their ends, or of
    the file where it has no times). Of both halves sessions with one item are dropped; of the test half, as is usual for Gru4Rec, first the items
    that have no number. Of a training half with more steps than `training_steps_max` the last sessions are taken, as is usual for large
    logs; of a test half with more than `test_steps_max` sessions spread evenly over it.
    """
    listed = read_items(items_path) if items_path else None
    names = {kind: None if name is None else str(name) for kind, name in {"session": session, "item": item, "time": time}.items()}
    asked, codes = Asked(layout, names, delimiter, gap_minutes), dict[str, int]()
    found, form = read_log(path, asked, codes)
    log = _of_two_and_more(found)
    if test_path:
        train, test = log.sessions, read_log(test_path, asked, codes, (form, log.gap_minutes))[0].sessions
    else:
        is_test = _is_test(log, test_share, test_days, path)
        train, test = log.sessions.take(~is_test), log.sessions.take(is_test)
    train = train.take(_last(train.lengths - 1, training_steps_max))
    counts = np.bincount(train.items, minlength=len(codes))
    train = train.keep(counts[train.items] >= min_item_count)
    if not len(train):
        way_out = "look at data.session and data.layout" if log.gap_minutes is None else f"data.gap_minutes is {log.gap_minutes:g}, set a longer break"
        raise InputError(f"'{path}' leaves no session of two items and more to train on; {way_out}, or take a smaller test half or min_item_count.")
    items = listed or count_items(list(codes), np.bincount(train.items, minlength=len(codes)))
    numbers = np.array([items.get(name, 0) for name in codes], np.int64)
    train, test = _numbered(train, numbers), _numbered(test, numbers)
    if not len(train):
        raise InputError(f"'{path}' has no session of two items that '{items_path}' lists; name them there as the sessions do, one a line.")
    if not len(test) and (test_path or test_days or test_share):
        known = f"that '{items_path}' lists" if listed else "of the training half"
        raise InputError(f"No test session of '{test_path or path}' has two items {known}; take a larger test half, or set data.test_share to 0.")
    test = test.take(_spread(test.lengths - 1, test_steps_max))
    columns, meaning = {"length": _row_lengths(train, longest)}, Meaning(vocabulary=digest_items(items))
    return CentralData(examples_of(train, longest), examples_of(test, longest) if len(test) else None, columns, meaning)


def _of_two_and_more(log: Log) -> Log:
    kept = log.sessions.lengths >= 2
    return replace(log, sessions=log.sessions.take(kept), ends=None if log.ends is None else log.ends[kept])


def _is_test(log: Log, share: float, days: float | None, path: Path) -> np.ndarray:
    if days is None:
        return last_share(len(log.sessions), share)
    if log.ends is None:
        raise InputError(f"data.test_days is {days:g}, but '{path}' has no times; set data.test_share instead.")
    return np.asarray(log.ends > log.ends.max(initial=0) - days * SECONDS_A_DAY)


def _last(steps: np.ndarray, most: int | None) -> np.ndarray:
    """A mask of the last sessions that have so many steps in all, at least one."""
    behind = np.cumsum(steps[::-1])[::-1]
    return np.asarray(behind <= max(most, steps[-1])) if most and len(steps) else np.ones(len(steps), bool)


def _spread(steps: np.ndarray, most: int | None) -> np.ndarray:
    """A mask of sessions at even distances that have about so many steps in all."""
    share = min(1.0, (most or np.inf) / max(steps.sum(), 1))
    return np.diff(np.floor(np.arange(len(steps) + 1) * share)) > 0


def _numbered(sessions: Sessions, numbers: np.ndarray) -> Sessions:
    found = numbers[sessions.items]
    return Sessions(found, sessions.lengths).keep(found > 0)


def _row_lengths(train: Sessions, longest: int) -> np.ndarray:
    return np.repeat(train.lengths, -(-(train.lengths - 1) // longest))
