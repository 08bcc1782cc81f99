"""Where the federation meets: write-once keys behind one narrow seam.

A key is a relative path such as `rounds/0001/plan.json`. What is written stays as it is; only pointers move, by compare-and-swap. Implementations
answer from several processes at once. `file://` needs a local file system with hard links; it survives the death of any process at any moment.
"""

import fcntl
import mmap
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from fl_core.errors import InputError, KeyMissing, KeyTaken, StoreError

MAPPED_BYTES_MIN = 1 << 20
DRAFT, LOCK = ".draft", ".lock"
DRAFT_SECONDS = 3600.0
PUBLIC, PRIVATE = 0o666, 0o600
PUT_TRIES = 5


class Store(Protocol):
    """Write-once keys; every method raises StoreError where the store itself fails."""

    uri: str

    def get(self, key: str) -> bytes | memoryview:
        """The bytes under the key (large files are mapped, not read); KeyMissing where there are none."""

    def put(self, key: str, data: bytes | memoryview) -> bool:
        """Writes the key once: True where this call wrote it, False where it held the same bytes already; KeyTaken where it holds others."""

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> list[str]:
        """All keys that start with the prefix, sorted."""

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        """Moves a pointer from the expected bytes (None: absent) to new ones; False where it held something else."""

    def append(self, key: str, data: bytes) -> None:
        """Adds whole lines at the end of a log; only journals do, and their names end in `.jsonl`."""

    def delete(self, *keys: str) -> None:
        """Removes the keys that are there; only the server does, with replies to closed rounds and with states it need not keep."""

    def at(self, prefix: str) -> "Store":
        """The same store seen from under a prefix."""


def open_private(uri: str) -> Store:
    """As `open_store`; files are readable by their owner alone. For keys and clients' memory."""
    store = open_store(uri)
    return FileStore(store.root, PRIVATE) if isinstance(store, FileStore) else store


def open_store(uri: str) -> Store:
    """Opens `file://PATH` or a plain path (relative ones count from the working directory), `s3://bucket/prefix`, and nothing else."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return FileStore(Path(uri))
    if scheme == "file" and rest:
        return FileStore(Path(rest))
    if scheme == "memory":
        raise InputError("The store 'memory://' is a dict in one process, where no other finds it; write file://FOLDER or s3://BUCKET/PREFIX.")
    if scheme == "s3":
        from fl_core.s3 import open_s3_store  # here, because it needs this file, and because a folder need not pay for an S3 client

        return open_s3_store(uri)
    raise InputError(f"The store '{uri}' is of no known kind; write file://FOLDER or s3://BUCKET/PREFIX.")


class DictStore:
    """A store in a dict, for tests and for jobs that need leave nothing behind."""

    def __init__(self, keys: dict[str, bytes], prefix: str = "", lock: "threading.RLock | None" = None) -> None:
        self._keys, self._prefix, self.uri = keys, prefix, f"memory://{prefix}"
        self._lock = lock or threading.RLock()

    def get(self, key: str) -> bytes:
        try:
            return self._keys[self._prefix + check_key(key)]
        except KeyError:
            raise KeyMissing(key) from None

    def put(self, key: str, data: bytes | memoryview) -> bool:
        with self._lock:
            if not self.exists(key):
                self._keys[self._prefix + key] = bytes(data)
                return True
            if self.get(key) != data:
                raise KeyTaken(key)
            return False

    def exists(self, key: str) -> bool:
        return self._prefix + check_key(key) in self._keys

    def list(self, prefix: str) -> list[str]:
        whole = self._prefix + prefix
        with self._lock:
            return sorted(key.removeprefix(self._prefix) for key in self._keys if key.startswith(whole))

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        with self._lock:
            if self._keys.get(self._prefix + check_key(key)) != expected:
                return False
            self._keys[self._prefix + key] = bytes(data)
            return True

    def append(self, key: str, data: bytes) -> None:
        with self._lock:
            self._keys[self._prefix + key] = self._keys.get(self._prefix + check_key(key), b"") + data

    def delete(self, *keys: str) -> None:
        for key in keys:
            self._keys.pop(self._prefix + check_key(key), None)

    def at(self, prefix: str) -> "DictStore":
        return DictStore(self._keys, f"{self._prefix}{check_key(prefix.strip('/'))}/", self._lock)


class FileStore:
    """A store in a folder: a key is a file, written beside its place and hard-linked into it, so that a reader never sees half of it.

    What a killed writer leaves is a draft: it is no key, and `list` removes it after an hour.
    """

    def __init__(self, root: Path, mode: int = PUBLIC) -> None:
        self.root, self._mode = root.absolute(), mode
        self.uri = f"file://{self.root}"

    def get(self, key: str) -> bytes | memoryview:
        with self._saying("read", key), open(self._path(key), "rb") as file:
            if os.fstat(file.fileno()).st_size < MAPPED_BYTES_MIN:
                return file.read()
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def put(self, key: str, data: bytes | memoryview) -> bool:
        with self._saying("written", key), _draft(self._path(key), data, self._mode) as draft:
            for _ in range(PUT_TRIES):
                try:
                    os.link(draft, self._path(key))
                    return True
                except FileExistsError:
                    with suppress(KeyMissing):
                        if _equal(self.get(key), data):
                            return False
                        raise KeyTaken(key) from None
        raise StoreError(f"'{key}' was written and deleted by others {PUT_TRIES} times while it was put into {self.uri}.")

    def exists(self, key: str) -> bool:
        with self._saying("read", key):
            return self._path(key).is_file()

    def list(self, prefix: str) -> list[str]:
        folder, _, start = prefix.rpartition("/")
        with self._saying("listed", prefix):
            return sorted(_walk(self.root / folder, f"{folder}/" if folder else "", start))

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        path = self._path(key)
        with self._saying("written", key):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path.with_name(f".{path.name}{LOCK}"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                current = path.read_bytes() if path.is_file() else None
                if current != expected:
                    return False
                with _draft(path, data, self._mode) as draft:
                    os.replace(draft, path)
                return True

    def append(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._saying("written", key):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _add_lines(file.fileno(), data)

    def delete(self, *keys: str) -> None:
        for key in keys:
            with self._saying("deleted", key):
                self._path(key).unlink(missing_ok=True)

    def at(self, prefix: str) -> "FileStore":
        return FileStore(self._path(prefix.strip("/")), self._mode)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextmanager
    def _saying(self, done: str, key: str) -> Iterator[None]:
        """Turns what the file system says into KeyMissing or a sentence."""
        try:
            yield
        except OSError as error:
            if done == "read" and isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
                raise KeyMissing(key) from None
            raise StoreError(f"'{key}' could not be {done} in {self.uri}: {error.strerror}.") from error


@contextmanager
def _draft(path: Path, data: bytes | memoryview, mode: int) -> Iterator[Path]:
    """A file with the data beside the path, gone afterwards unless it was moved."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}{DRAFT}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _walk(folder: Path, above: str, start: str) -> Iterator[str]:
    """The keys below a folder whose first part begins with `start`; old drafts are removed on the way."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith(".") and entry.name.endswith((DRAFT, LOCK)):
            _remove_old_draft(entry)
        elif not entry.name.startswith(start):
            continue
        elif entry.is_dir():
            yield from _walk(folder / entry.name, f"{above}{entry.name}/", "")
        else:
            yield above + entry.name


def _remove_old_draft(entry: os.DirEntry[str]) -> None:
    """Removes what a writer that died left behind; who may only read leaves it."""
    with suppress(OSError):
        if entry.name.endswith(DRAFT) and time.time() - entry.stat().st_mtime > DRAFT_SECONDS:
            os.unlink(entry.path)


def _add_lines(number: int, data: bytes) -> None:
    """Adds lines to an open file, all or nothing; a line that a dying writer cut off is ended first."""
    size = os.fstat(number).st_size
    cut_off = size > 0 and os.pread(number, 1, size - 1) != b"\n"
    whole = b"\n" + data if cut_off else data
    try:
        while whole:
            whole = whole[os.write(number, whole) :]
    except OSError:
        os.ftruncate(number, size)
        raise


def _equal(one: bytes | memoryview, other: bytes | memoryview) -> bool:
    """Whether both hold the same bytes, without a copy of either as a whole."""
    one, other = memoryview(one), memoryview(other).cast("B")
    step = MAPPED_BYTES_MIN
    return len(one) == len(other) and all(bytes(one[i : i + step]) == bytes(other[i : i + step]) for i in range(0, len(one), step))


def check_key(key: str) -> str:
    """The key; InputError for one that would leave the store's root."""
    if not key or key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")):
        raise InputError(f"'{key}' is no key: it is a relative path without '.' and '..'.")
    return key
