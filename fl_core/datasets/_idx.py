"""The IDX format of MNIST: two zero bytes, a type, the number of dimensions, their sizes, then the values, all big-endian."""

from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from fl_core.datasets._bytes import read_bytes
from fl_core.errors import InputError

Kind = Literal["images", "labels", "extended labels"]
_MAGIC: dict[Kind, int] = {"images": 0x0803, "labels": 0x0801, "extended labels": 0x0C02}
_INT32 = 0x0C


def read_idx(path: Path, kind: Kind) -> np.ndarray:
    """The array in the file: images (N, height, width) or labels (N,) of uint8, extended labels (N, fields) of int32."""
    content = read_bytes(path)
    magic = int.from_bytes(content[:4], "big")
    if magic != _MAGIC[kind]:
        raise InputError(f"'{path}' starts with the number {magic:#06x}; an IDX file of {kind} starts with {_MAGIC[kind]:#06x}.")
    dtype = np.dtype(">i4" if magic >> 8 == _INT32 else np.uint8)
    start = 4 + 4 * (magic & 0xFF)
    sizes = [int(size) for size in np.frombuffer(content[4:start], ">u4", count=len(content[4:start]) // 4)]
    promised = start + prod(sizes) * dtype.itemsize
    if len(content) != promised or len(sizes) != magic & 0xFF:
        raise InputError(f"'{path}' holds {len(content)} bytes, but its header promises {promised}; copy it again.")
    return np.frombuffer(content, dtype, offset=start).reshape(sizes)
