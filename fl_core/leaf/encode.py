"""What LEAF's samples become for a model, one function a set: a user's x and y as arrays."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fl_core.errors import InputError
from fl_core.leaf.files import UserData
from fl_core.leaf.letters import number_letters
from fl_core.leaf.words import PAD, UNKNOWN, cut_words, number_tweet
from fl_core.types import Examples

FEMNIST_PIXELS = 784
CELEBA_PIXELS = 84
LETTERS_A_WINDOW = 80
TWEET_COLUMN = 4

Encode = Callable[[UserData], Examples]


def encode_femnist(data: UserData) -> Examples:
    """x (N, 784) float32 from 0 (ink) to 1 (paper), y (N,) int64."""
    return Examples(_rows(data, FEMNIST_PIXELS), _classes(data["y"]))


def encode_synthetic(data: UserData) -> Examples:
    """x (N, features) float32, y (N,) int64."""
    return Examples(_rows(data), _classes(data["y"]))


def encode_shakespeare(data: UserData) -> Examples:
    """x (N, 80) int64 letters, y (N,) int64, the letter that follows."""
    for key, length in (("x", LETTERS_A_WINDOW), ("y", 1)):
        wrong = next((text for text in data[key] if not isinstance(text, str) or len(text) != length), None)
        if wrong is not None:
            raise ValueError(f"{key} holds {wrong!r:.40}, where {length} letters are expected")
    return Examples(number_letters(data["x"]), number_letters(data["y"])[:, 0])


def encode_sent140(numbers: Mapping[str, int], unknown: int) -> Encode:
    """x (N, 25) int64 words, the unknown and the missing as `unknown`, y (N,) int64, 1 for a happy tweet."""

    def encode(data: UserData) -> Examples:
        rows = [number_tweet(_tweet(row), numbers, unknown) for row in data["x"]]
        return Examples(np.array(rows, np.int64), _classes(data["y"]))

    return encode


def encode_reddit(numbers: Mapping[str, int]) -> Encode:
    """x (N, 10) int64 words, y (N, 10) int64, the word after each; N counts a comment's sequences, not the comments."""

    def number(sequences: Sequence[Sequence[str]]) -> np.ndarray:
        return np.array([[numbers.get(word, numbers[UNKNOWN]) for word in sequence] for sequence in sequences], np.int64)

    def encode(data: UserData) -> Examples:
        x = [sequence for comment in data["x"] for sequence in comment]
        y = [sequence for comment in data["y"] for sequence in comment["target_tokens"]]
        return Examples(number(x), number(y))

    return encode


def encode_celeba(images: Path) -> Encode:
    """x (N, 3, 84, 84) float32 from 0 to 1, y (N,) int64, 1 for a smile."""

    def encode(data: UserData) -> Examples:
        return Examples(np.stack([_image(images / name) for name in data["x"]]), _classes(data["y"]))

    return encode


def tweet_words(data: UserData) -> list[str]:
    """All words of a user's tweets."""
    return [word for row in data["x"] for word in cut_words(_tweet(row))]


def comment_words(data: UserData) -> list[str]:
    """All words of a user's comments."""
    return [word for comment in data["x"] for sequence in comment for word in sequence]


def reddit_vocabulary(words: Sequence[str]) -> list[str]:
    """The words with padding as 0 and the unknown as 1 in front."""
    return [PAD, UNKNOWN, *(word for word in words if word not in (PAD, UNKNOWN))]


def _tweet(row: Any) -> str:
    """The text of a tweet: the fifth of its cells, or the sample itself."""
    return str(row if isinstance(row, str) else row[TWEET_COLUMN])


def _rows(data: UserData, width: int | None = None) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = np.array(data["x"], np.float32)
    if x.ndim != 2 or (width is not None and x.shape[1] != width):
        raise ValueError(f"x has the shape {x.shape}, where each sample is a list of {width or 'as many'} numbers")
    if not np.isfinite(x).all():
        raise ValueError("x holds no number, or one beyond float32's range")
    return x


def _classes(labels: Sequence[Any]) -> np.ndarray:
    """Whole numbers from 0 on; LEAF and its followers write some of them as 3.0."""
    values = np.array(labels, np.float64)
    with np.errstate(invalid="ignore"):
        y = values.astype(np.int64)
    if values.ndim != 1 or (y != values).any() or (y < 0).any():
        raise ValueError("y holds something else than whole numbers from 0 on")
    return y


def _image(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.resize((CELEBA_PIXELS, CELEBA_PIXELS)).convert("RGB"), np.float32)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"The image '{path}' cannot be read ({error}); name the folder of the aligned images as data.images_path.") from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) / np.float32(255)
