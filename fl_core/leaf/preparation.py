"""LEAF's preprocessing by LEAF's rules, draws and file names: sample, leave out small users, split into train and test.

Caldas et al. 2018, https://arxiv.org/abs/1812.01097. A seed draws with Python's generator in LEAF's order, over the files by name.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from fl_core.errors import InputError
from fl_core.leaf.files import Place, UserData, find_files, index_file, list_users, read_user, write_file

ALL, SAMPLED, KEPT = "all_data", "sampled_data", "rem_user_data"

Users = Mapping[str, UserData]


def sample_files(folder: Path, how: Literal["iid", "niid"], fraction: float, user_share: float, seed: int) -> list[Path]:
    """Writes `sampled_data`: of each file a share of the samples, of whole users (niid) or dealt to `user_share` times as many new ones (iid)."""
    source = _source(folder, [ALL])
    target = _new(folder / SAMPLED)
    draw = random.Random(seed)
    written, made = [], 0
    for path in source:
        places = index_file(path)
        wanted = int(fraction * sum(place.samples for place in places))
        if how == "niid":
            users, above = _sample_users(places, wanted, draw)
            label = f"niid_{_label(fraction)}"
        else:
            users, above = _deal(places, wanted, max(round(user_share * len(places)), 1), made, draw), None
            made += len(users)
            label = f"iid_{_label(user_share)}_{_label(fraction)}"
        written.append(_write(target / f"{_stem(path)}_{label}.json", users, above))
    return written


def keep_users(folder: Path, samples_above: int) -> list[Path]:
    """Writes `rem_user_data`: the users with more than so many samples."""
    source = _source(folder, [SAMPLED, ALL])
    target = _new(folder / KEPT)
    written = []
    for path in source:
        kept = [place for place in index_file(path) if place.samples > samples_above]
        written.append(_write(target / f"{_stem(path)}_keep_{samples_above}.json", *_opened(kept)))
    return written


def split_by_sample(folder: Path, train_share: float, seed: int, gap: int | None = None) -> list[Path]:
    """Writes `train` and `test`: a share of each user's samples drawn for training, the others for the test; users with one sample are left out.

    With `gap` nothing is drawn: the first share is for training, the last for the test, and so many between belong to neither: 79 keeps windows
    of 80 letters from overlapping. Users who then have no test sample are left out.
    """
    source = _source(folder, [KEPT, SAMPLED, ALL])
    halves = [_new(folder / half) for half in ("train", "test")]
    draw = random.Random(seed)
    written = []
    for path in source:
        parts: tuple[dict[str, UserData], dict[str, UserData]] = ({}, {})
        above = []
        for place in index_file(path):
            rows = _cut(place.samples, train_share, draw, gap)
            if rows is None:
                continue
            data = read_user(place)
            for part, chosen in zip(parts, rows, strict=True):
                part[place.user] = _take(data, chosen)
            above.append(place.hierarchy)
        for half, part in zip(halves, parts, strict=True):
            written.append(_write(half / f"{_stem(path)}_{half.name}_{_label(train_share)}.json", part, above))
    return written


def split_by_user(folder: Path, train_share: float, seed: int, users_a_file: int | None = None) -> list[Path]:
    """Writes `train` and `test`: a share of the users drawn for training, the others for the test, at most `users_a_file` in one file."""
    source = _source(folder, [KEPT, SAMPLED, ALL])
    halves = [_new(folder / half) for half in ("train", "test")]
    places = list_users(source)
    chosen = set(random.Random(seed).sample(range(len(places)), int(train_share * len(places))))
    written = []
    for half, wanted in zip(halves, (True, False), strict=True):
        part = [place for number, place in enumerate(places) if (number in chosen) is wanted]
        for index, group in enumerate(_groups(part, users_a_file or len(places))):
            name = f"{_indexed(_stem(group[-1].path), index)}_{half.name}_{_label(train_share)}.json"
            written.append(_write(half / name, *_opened(group)))
    return written


def _source(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files of the first of the folders that has any, checked before anything is written."""
    for name in names:
        if files := find_files(folder / name):
            list_users(files)
            return files
    raise InputError(f"'{folder}' has no LEAF files in {' or '.join(names)}; make them with `fl data leaf`, or copy them there.")


def _new(folder: Path) -> Path:
    if folder.exists():
        raise InputError(f"'{folder}' exists already; delete it to prepare the data again.")
    return folder


def _write(path: Path, users: Users, above: Sequence[str | None] | None) -> Path:
    known = [group for group in above or [] if group is not None]
    write_file(path, users, known if known and len(known) == len(users) else None)
    return path


def _opened(places: Sequence[Place]) -> tuple[dict[str, UserData], list[str | None]]:
    return {place.user: read_user(place) for place in places}, [place.hierarchy for place in places]


def _sample_users(places: list[Place], wanted: int, draw: random.Random) -> tuple[Users, list[str | None]]:
    """Users in a drawn order until their samples are enough; the last one gives the first of its samples, mixed."""
    order = list(places)
    draw.shuffle(order)
    users: dict[str, UserData] = {}
    above: list[str | None] = []
    for place in order:
        if wanted <= 0:
            break
        data = read_user(place)
        users[place.user] = data if place.samples <= wanted else _take(data, draw.sample(range(wanted), wanted))
        above.append(place.hierarchy)
        wanted -= place.samples
    return users, above


def _deal(places: Sequence[Place], wanted: int, hands: int, first: int, draw: random.Random) -> Users:
    """Samples drawn from all users, dealt evenly to `hands` new users who are numbered from `first` on; the last ones get one more where it does not go up."""
    everything = [read_user(place) for place in places]
    x, y = (list(chain.from_iterable(data[key] for data in everything)) for key in "xy")
    rows = draw.sample(range(len(y)), wanted)
    small, more = divmod(wanted, hands)
    sizes = [small] * (hands - more) + [small + 1] * more
    left = iter(rows)
    return {str(first + number): _take({"x": x, "y": y}, list(islice(left, size))) for number, size in enumerate(sizes)}


def _cut(count: int, train_share: float, draw: random.Random, gap: int | None) -> tuple[Iterable[int], Iterable[int]] | None:
    """The rows to train on and those to test on, None where there is no row for one of them."""
    if count < 2:
        return None
    first = 1 if count == 2 else max(1, int(train_share * count))
    if gap is not None:
        return (range(first), range(first + gap, count)) if first + gap < count else None
    drawn = set(draw.sample(range(count), first))
    return sorted(drawn), [row for row in range(count) if row not in drawn]


def _take(data: UserData, rows: Iterable[int]) -> UserData:
    rows = list(rows)
    return {key: [data[key][row] for row in rows] for key in "xy"}


def _groups(places: Sequence[Place], size: int) -> Iterable[Sequence[Place]]:
    return (places[start : start + size] for start in range(0, len(places), size))


def _indexed(stem: str, index: int) -> str:
    """The name with the file's number behind `data`: all_data_7_niid_1 -> all_data_0_niid_1."""
    before, word, after = stem.partition("data")
    head, _, tail = after.removeprefix("_").partition("_")
    rest = tail if head.isdigit() else after.removeprefix("_")
    return f"{before}{word}_{index}{f'_{rest}' if rest else ''}"


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".json")


def _label(share: float) -> str:
    """What LEAF writes of a share into a file's name: the digits behind the point.

    >>> _label(0.1), _label(0.05), _label(1.0)
    ('1', '05', '0')
    """
    return str(float(share))[2:]
