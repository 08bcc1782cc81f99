"""The lines of a text file, or of a folder's files in the order of their names, plain, gzip or zip by their content, without holding them all."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from io import TextIOWrapper
from itertools import dropwhile
from pathlib import Path
from typing import IO, cast

from fl_core.errors import InputError

Line = tuple[int, str]
GZIP, ZIP, UTF_16 = b"\x1f\x8b", b"PK\x03\x04", (b"\xff\xfe", b"\xfe\xff")
# How Python's pickles of lists begin, as SR-GNN's prepared files do.
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(lp")


def read_lines(path: Path) -> Iterator[Line]:
    """The lines that hold anything, each with its number from 1 (through all files of a folder), without comments (`# ...`) at a file's top."""
    last = 0
    for file in _files(path):
        for last, line in dropwhile(_is_comment, enumerate(_text(file), last + 1)):  # noqa: B020
            if line.strip():
                yield last, line.rstrip("\n")


def _files(path: Path) -> Sequence[Path]:
    """The file itself, or a folder's files but for marks such as `_SUCCESS` and hidden ones."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith((".", "_")))
    if not files:
        raise InputError(f"The folder '{path}' holds no files; put those with the sessions there.")
    return files


def _is_comment(line: Line) -> bool:
    return line[1].startswith("# ") or not line[1].strip()


def _text(path: Path) -> Iterator[str]:
    """A file's lines. Text is UTF-8, or UTF-16 with the mark that spreadsheets begin it with."""
    number = 0
    try:
        with ExitStack() as stack:
            content = _unpacked(path, stack)
            encoding = "utf-16" if content.peek(2)[:2] in UTF_16 else "utf-8-sig"  # type: ignore[attr-defined]
            for number, line in enumerate(stack.enter_context(TextIOWrapper(content, encoding)), 1):  # noqa: B007
                yield line
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
    if start.startswith(PICKLES):
        raise InputError(f"'{path}' is a Python pickle, which could run any code; write its sessions to a text file, one session a line.")
    if not start.startswith(ZIP):
        return file
    archive = stack.enter_context(zipfile.ZipFile(file))
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:5])
        raise InputError(f"'{path}' holds {len(members)} files ({names}); unpack the one with the sessions and name it.")
    return stack.enter_context(archive.open(members[0]))
