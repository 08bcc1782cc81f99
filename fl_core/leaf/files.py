"""LEAF's files: `{"users", "num_samples", "user_data": {user: {"x", "y"}}}`, perhaps `"hierarchies"`; read user by user, so that opening one is cheap.

The first reading checks a file whole and notes where each user's part lies; later only that part is read. Offsets are bytes: JSON's own signs are ASCII,
so a file is walked as Latin-1 and its words are read as UTF-8 afterwards.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fl_core.datasets._bytes import read_bytes
from fl_core.errors import InputError

PACKED_FILES_KEPT = 4
_SPACE = re.compile(r"[ \t\r\n]*")
UserData = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Place:
    """Where a user's part lies: from byte `start` up to byte `stop` of a file, unpacked; `samples` of x and y are there, each of `features` numbers where
    they are numbers."""

    path: Path
    user: str
    start: int
    stop: int
    samples: int
    features: int | None = None
    hierarchy: str | None = None


def find_files(folder: Path) -> list[Path]:
    """The LEAF files of a folder by name; a file stands for itself."""
    if folder.is_file():
        return [folder]
    return sorted(path for path in folder.glob("*") if path.name.endswith((".json", ".json.gz")))


def list_users(paths: Sequence[Path]) -> list[Place]:
    """The users of the files in the files' order, checked; InputError where a file is damaged or a user is there twice."""
    places: dict[str, Place] = {}
    for path in paths:
        for place in index_file(path):
            if place.user in places:
                raise InputError(f"The user '{place.user}' is in '{places[place.user].path}' and again in '{path}'; keep one of them.")
            places[place.user] = place
    found = list(places.values())
    check_features(found)
    return found


def check_features(places: Sequence[Place]) -> None:
    """InputError where two users' samples have different numbers of features."""
    measured = [place for place in places if place.features is not None]
    for place in measured:
        if place.features != (first := measured[0]).features:
            raise InputError(
                f"'{place.path}' has samples of {place.features} features for the user '{place.user}', but the user '{first.user}' has {first.features}; "
                "give all users as many."
            )


def index_file(path: Path) -> list[Place]:
    """The users of one file in its order, each with where it lies; InputError with the file and the user where something is wrong."""
    text = read_bytes(path).decode("latin-1")
    found: dict[str, Any] = {}
    parts: dict[str, tuple[int, int, int, int | None]] = {}
    reading = [""]

    def top(key: str, start: int) -> int:
        if key == "user_data":
            found[key] = True
            return _walk(text, start, one)
        found[key], stop = _decode(text, start)
        return stop

    def one(user: str, start: int) -> int:
        reading[0] = user
        value, stop = _decode(text, start)
        parts[user] = (start, stop, *_samples(path, user, value))
        reading[0] = ""
        return stop

    try:
        end = _SPACE.match(text, _walk(text, _start(text), top)).end()  # type: ignore[union-attr]
        if end != len(text):
            raise ValueError(f"more follows the end at byte {end}")
    except _NotFinite as error:
        raise InputError(f"'{path}' holds {error} for the user '{reading[0]}'; fill such values or leave the sample out.") from error
    except (ValueError, RecursionError) as error:
        at = f", in the data of user '{reading[0]}'" if reading[0] else ""
        raise InputError(f"'{path}' is not whole JSON ({error}){at}; copy it again.") from error
    return _places(path, found, parts)


def read_user(place: Place) -> UserData:
    """The user's `x` and `y` as the file has them."""
    data = _part(place)
    value: UserData = json.loads(data)
    return value


def write_file(path: Path, users: Mapping[str, UserData], hierarchies: Sequence[str] | None = None) -> None:
    """Writes the users in their order; InputError where the file exists."""
    whole: dict[str, Any] = {"users": list(users)}
    if hierarchies is not None:
        whole["hierarchies"] = list(hierarchies)
    whole |= {"num_samples": [len(data["y"]) for data in users.values()], "user_data": users}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(whole, allow_nan=False))
    except FileExistsError as error:
        raise InputError(f"'{path}' exists already; name another folder.") from error
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror}.") from error


class _NotFinite(Exception):
    pass


def _refuse(word: str) -> float:
    raise _NotFinite(word)


_decoder = json.JSONDecoder(parse_constant=_refuse)


def _decode(text: str, start: int) -> tuple[Any, int]:
    return _decoder.raw_decode(text, start)


def _start(text: str) -> int:
    return 3 if text.startswith("\xef\xbb\xbf") else 0


def _walk(text: str, at: int, visit: Callable[[str, int], int]) -> int:
    """Walks the object at `at`: `visit(key, start of its value)` gives the value's end. Gives the object's end."""
    at = _skip(text, at, "{")
    if text[at : at + 1] == "}":
        return at + 1
    while True:
        key, at = _decode(text, at)
        if not isinstance(key, str):
            raise ValueError(f"a key at byte {at} is no text")
        at = _skip(text, visit(_utf8(key), _skip(text, at, ":")), "")
        if text[at : at + 1] == "}":
            return at + 1
        at = _skip(text, at, ",")


def _skip(text: str, at: int, sign: str) -> int:
    """Past white space, the sign, and white space again."""
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    if not text.startswith(sign, at) or at >= len(text):
        raise ValueError(f"'{sign}' is missing at byte {at}" if at < len(text) else f"it ends at byte {at}")
    return _SPACE.match(text, at + len(sign)).end()  # type: ignore[union-attr]


def _utf8(word: str) -> str:
    """A word that was walked as Latin-1, as it was meant; one written with \\u escapes is that already."""
    try:
        return word.encode("latin-1").decode()
    except UnicodeError:
        return word


def _samples(path: Path, user: str, value: Any) -> tuple[int, int | None]:
    """How many samples a user has, and of how many numbers each is; None where they are no lists of numbers."""
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in "xy"):
        raise InputError(f"'{path}' has no lists x and y for the user '{user}'; LEAF's user_data holds both.")
    if len(value["x"]) != len(value["y"]):
        raise InputError(f"'{path}' has {len(value['x'])} of x and {len(value['y'])} of y for the user '{user}'; they belong together one by one.")
    widths = sorted({len(row) for row in value["x"] if isinstance(row, list) and row and isinstance(row[0], int | float)})
    if len(widths) > 1:
        raise InputError(f"'{path}' has samples of {widths[0]} and of {widths[1]} features for the user '{user}'; give all samples as many.")
    return len(value["y"]), widths[0] if widths else None


def _places(path: Path, found: Mapping[str, Any], parts: Mapping[str, tuple[int, int, int, int | None]]) -> list[Place]:
    for key in ("users", "num_samples", "user_data"):
        if key not in found or (key != "user_data" and not isinstance(found[key], list)):
            raise InputError(f"'{path}' has no '{key}'; a LEAF file holds users, num_samples and user_data.")
    users = [_utf8(str(user)) for user in found["users"]]
    if len(users) != len(found["num_samples"]):
        raise InputError(f"'{path}' names {len(users)} users and {len(found['num_samples'])} num_samples; there is one number for each user.")
    # LEAF's own split leaves hierarchies of users in place that it took out; then nobody can say whose is whose.
    above = found.get("hierarchies") or []
    if not isinstance(above, list):
        raise InputError(f"'{path}' has hierarchies that are no list, but {above!r:.40}; give one for each user, or leave them out.")
    groups = [_utf8(str(group)) for group in above] if len(above) == len(users) else [None] * len(users)
    places = []
    for user, count, group in zip(users, found["num_samples"], groups, strict=True):
        if user not in parts:
            raise InputError(f"'{path}' names the user '{user}', but its user_data do not have it; take the name out, or add the data.")
        start, stop, samples, features = parts[user]
        if count != samples:
            raise InputError(f"'{path}' has num_samples {count} for the user '{user}', but {samples} samples; write the number that is there.")
        places.append(Place(path, user, start, stop, samples, features, group))
    return places


def _part(place: Place) -> bytes:
    if place.path.suffix == ".gz":
        return _unpacked(place.path)[place.start : place.stop]
    try:
        with place.path.open("rb") as file:
            file.seek(place.start)
            return file.read(place.stop - place.start)
    except OSError as error:
        raise InputError(f"The data file '{place.path}' cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=PACKED_FILES_KEPT)
def _unpacked(path: Path) -> bytes:
    return read_bytes(path)
