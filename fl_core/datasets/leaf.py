"""LEAF's six federated sets (Caldas et al. 2018, https://arxiv.org/abs/1812.01097) in LEAF's files: every user is a client."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field

from fl_core.errors import InputError
from fl_core.leaf import encode
from fl_core.leaf.files import Place, UserData, check_features, find_files, list_users, read_user
from fl_core.leaf.words import PAD, UNKNOWN, most_common, number_words, read_vocabulary
from fl_core.types import Examples, FederatedData

Set = Literal["femnist", "shakespeare", "sent140", "celeba", "reddit", "synthetic"]
Made = TypeVar("Made")


def leaf(
    path: Path,
    set: Set,
    max_clients: Annotated[int, Field(ge=1)] | None = None,
    images_path: Path | None = None,
    vocabulary: Annotated[int, Field(ge=3, le=1_000_000)] = 10_000,
    vocabulary_path: Path | None = None,
) -> FederatedData:
    """The training half of each user, opened when asked for, and the test halves of all users as the test set.

    The folder has `train` and `test`, or files with `_test` in the name of the test half, or `all_data`; one file stands for itself, all of it to train on.
    Shapes are those of `fl_core.leaf.encode`. With `max_clients`, the first so many users by name, and their test halves.
    """
    train, test = find_halves(path)
    places = sorted(list_users(train), key=_user)[:max_clients]
    kept = {place.user for place in places}
    for place in places:
        if not place.samples:
            raise InputError(f"'{place.path}' has no samples of the user '{place.user}'; take out users without samples: `fl data leaf sample DIR -k 0`.")
    tested = [place for place in sorted(list_users(test), key=_user) if place.samples and (max_clients is None or place.user in kept)]
    check_features([*places, *tested])
    encoded = _encoder(set, places, images_path or path / "raw" / "img_align_celeba", vocabulary, vocabulary_path)

    def open_one(place: Place) -> Examples:
        return _read(place, set, encoded)

    opened = {place.user: place for place in places}
    sizes = [len(open_one(place)) if set == "reddit" else place.samples for place in places]
    return FederatedData(tuple(opened), sizes, lambda client: open_one(opened[client]), cache(lambda: _join([open_one(place) for place in tested])))


def find_halves(path: Path) -> tuple[list[Path], list[Path]]:
    """The files with the training half and those with the test half; InputError where there are none to train on."""
    if not path.exists():
        raise InputError(f"The LEAF data '{path}' are not there; make them with `fl data leaf`, or correct data.path.")
    if (path / "train").is_dir():
        train, test = find_files(path / "train"), find_files(path / "test")
    else:
        files = find_files(path) or find_files(path / "all_data")
        test = [] if path.is_file() else [file for file in files if "_test" in file.name]
        train = [file for file in files if file not in test]
    if not train:
        raise InputError(f"'{path}' has no LEAF file to train on; it is a folder of .json files, in train and test or side by side.")
    return train, test


def _user(place: Place) -> str:
    return place.user


def _encoder(set: Set, places: Sequence[Place], images: Path, vocabulary: int, vocabulary_path: Path | None) -> encode.Encode:
    if set == "celeba":
        return encode.encode_celeba(images)
    if set == "sent140":
        found = read_vocabulary(vocabulary_path) if vocabulary_path else most_common(_words(places, set, encode.tweet_words), vocabulary)
        # Without a file the unknown word is numbered by what was asked for, not by what was found: it is the same at every organisation.
        return encode.encode_sent140(number_words(found), len(found) if vocabulary_path else vocabulary)
    if set == "reddit":
        words = (word for word in _words(places, set, encode.comment_words) if word not in (PAD, UNKNOWN))
        found = read_vocabulary(vocabulary_path) if vocabulary_path else most_common(words, vocabulary - 2)
        return encode.encode_reddit(number_words(encode.reddit_vocabulary(found)))
    return {"femnist": encode.encode_femnist, "shakespeare": encode.encode_shakespeare, "synthetic": encode.encode_synthetic}[set]


def _words(places: Sequence[Place], set: Set, words_of: Callable[[UserData], list[str]]) -> Iterator[str]:
    for place in places:
        yield from _read(place, set, words_of)


def _read(place: Place, set: Set, make: Callable[[UserData], Made]) -> Made:
    """What is made of a user's part; InputError where it is not of the set."""
    try:
        return make(read_user(place))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"'{place.path}' holds samples of the user '{place.user}' that are not of the set '{set}' ({error}); look at data.set and at the file."
        ) from error


def _join(parts: Sequence[Examples]) -> Examples | None:
    """The examples one after another, None where there are none."""
    if not parts:
        return None
    return Examples(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))
