"""MNIST, or any set in the same four IDX files (Fashion-MNIST, KMNIST), from a folder."""

from pathlib import Path
from typing import Literal

import numpy as np

from fl_core.datasets._idx import Kind, read_idx
from fl_core.errors import InputError
from fl_core.types import CentralData, Examples

_WRITER = 2


def mnist(path: Path, shape: Literal["flat", "image"] = "flat", first: int | None = None) -> CentralData:
    """x (N, 784) or, of shape `image`, (N, 1, 28, 28), float32 from 0 to 1; y (N,) int64; columns `label` and, with QMNIST's labels, `writer`.

    `first` is how many training images are taken, from the first on; all of them where it is left out. The folder holds
    {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte, each plain or .gz; where qmnist-train-labels-idx2-int lies with them, it says
    who wrote each digit (Yadav and Bottou 2019, https://arxiv.org/abs/1905.10498).
    """
    if first is not None and first < 1:
        raise InputError(f"data.first is {first}; it is at least 1 image, or left out for all of them.")
    images, labels = _half(path, "train")
    train = _examples(images[:first], labels[:first], shape)
    columns = {"label": train.y}
    if (extended := _find(path, "qmnist-train-labels-idx2-int")).exists():
        columns["writer"] = _matching(extended, "extended labels", len(labels))[:first, _WRITER].astype(np.int64)
    return CentralData(train, _examples(*_half(path, "t10k"), shape), columns)


def _half(folder: Path, half: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels as they lie in the files."""
    images = read_idx(_find(folder, f"{half}-images-idx3-ubyte"), "images")
    return images, _matching(_find(folder, f"{half}-labels-idx1-ubyte"), "labels", len(images))


def _examples(images: np.ndarray, labels: np.ndarray, shape: str) -> Examples:
    count, height, width = images.shape
    x = images.reshape((count, 1, height, width) if shape == "image" else (count, height * width)).astype(np.float32)
    x /= 255
    return Examples(x, labels.astype(np.int64))


def _matching(path: Path, kind: Kind, count: int) -> np.ndarray:
    """The labels in the file, one an image."""
    labels = read_idx(path, kind)
    if len(labels) != count:
        raise InputError(f"'{path}' holds {len(labels)} labels for {count} images; take both files from one set.")
    return labels


def _find(folder: Path, name: str) -> Path:
    """The file, unpacked or, where there is none, packed."""
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"
