"""The lines of a text file one after the other, plain, gzip or zip by its content, without holding them all."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from io import TextIOWrapper
from pathlib import Path
from typing import IO, cast

from fl_core.errors import InputError

Line = tuple[int, str]
GZIP, ZIP, UTF_16 = b"\x1f\x8b", b"PK\x03\x04", (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path) -> Iterator[Line]:
    """The lines that hold anything, each with its number from 1. Text is UTF-8, or UTF-16 with the mark that spreadsheets begin it with."""
    number = 0
    try:
        with ExitStack() as stack:
            content = _unpacked(path, stack)
            encoding = "utf-16" if content.peek(2)[:2] in UTF_16 else "utf-8-sig"  # type: ignore[attr-defined]
            for number, line in enumerate(stack.enter_context(TextIOWrapper(content, encoding)), 1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except UnicodeError as error:
        raise InputError(f"'{path}' is not UTF-8 text (at line {number + 1} or soon after); save it as UTF-8.") from error
    except (EOFError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"The data file '{path}' is not a whole packed file ({error}); copy it again.") from error
    except OSError as error:
        raise InputError(f"The data file '{path}' cannot be read: {error.strerror or error}.") from error


def _unpacked(path: Path, stack: ExitStack) -> IO[bytes]:
    """The file's content as a stream that can be looked ahead in."""
    file = stack.enter_context(path.open("rb"))
    start = file.peek(len(ZIP))
    if start.startswith(GZIP):
        return cast(IO[bytes], stack.enter_context(closing(gzip.open(file))))
    if not start.startswith(ZIP):
        return file
    archive = stack.enter_context(zipfile.ZipFile(file))
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:5])
        raise InputError(f"'{path}' holds {len(members)} files ({names}); unpack the one with the sessions and name it.")
    return stack.enter_context(archive.open(members[0]))
