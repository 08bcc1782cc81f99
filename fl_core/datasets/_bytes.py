"""Reads a data file, plain or gzip by its name, or says why it cannot."""

import gzip
import zlib
from pathlib import Path

from fl_core.errors import InputError


def read_bytes(path: Path) -> bytes:
    """The file's content, unpacked where its name ends in `.gz`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"The data file '{path}' cannot be read: {error.strerror}.") from error
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"The data file '{path}' is not a whole gzip file ({error}); copy it again.") from error
