"""Pictures of (N, height, width), turned and blurred in plain numpy, so that the bits are the same wherever numpy is."""

import math

import numpy as np


def pictures_of(x: np.ndarray) -> np.ndarray | None:
    """The examples as (N, height, width) in float64, channels as pictures of their own; rows of a square number of pixels are square pictures. None where
    they are no pictures."""
    if x.ndim >= 3:
        return x.reshape(-1, *x.shape[-2:]).astype(np.float64)
    side = math.isqrt(x.shape[1]) if x.ndim == 2 else 0
    return x.reshape(-1, side, side).astype(np.float64) if side > 1 and side * side == x.shape[1] else None


def rotate(pictures: np.ndarray, degrees: float) -> np.ndarray:
    """The pictures turned anticlockwise about their middle, between pixels by the four nearest; what comes from outside is 0."""
    height, width = pictures.shape[1:]
    down, right = np.mgrid[:height, :width].astype(np.float64)
    down, right = down - (height - 1) / 2, right - (width - 1) / 2
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    from_down = cosine * down + sine * right + (height - 1) / 2
    from_right = cosine * right - sine * down + (width - 1) / 2
    top, left = np.floor(from_down).astype(int), np.floor(from_right).astype(int)
    below, beside = from_down - top, from_right - left
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))

    def pixel(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return np.asarray(padded[:, np.clip(row + 1, 0, height + 1), np.clip(column + 1, 0, width + 1)])

    upper = (1 - beside) * pixel(top, left) + beside * pixel(top, left + 1)
    lower = (1 - beside) * pixel(top + 1, left) + beside * pixel(top + 1, left + 1)
    return np.asarray((1 - below) * upper + below * lower)


def blur(pictures: np.ndarray, pixels: float) -> np.ndarray:
    """The pictures under a Gaussian of this deviation, cut off at three deviations; their edges go on outside."""
    reach = math.ceil(3 * pixels)
    if not reach:
        return pictures
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / pixels) ** 2)
    bell /= bell.sum()
    for axis in (1, 2):
        length = pictures.shape[axis]
        places = np.clip(np.arange(length)[:, None] + np.arange(-reach, reach + 1), 0, length - 1)
        pictures = np.tensordot(np.take(pictures, places, axis=axis), bell, axes=([axis + 1], [0]))
    return pictures
