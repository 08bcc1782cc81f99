"""Where the federation meets: write-once keys behind one narrow seam.

A key is a relative path such as `rounds/0001/plan.json`. What is written stays as it is; only pointers move, by compare-and-swap. Implementations
answer from several processes at once. `file://` needs a local file system with hard links.
"""

import fcntl
import mmap
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from fl_core.errors import InputError, KeyMissing, KeyTaken, StoreError

POLL_SECONDS_MIN = 0.002
POLL_SECONDS_MAX = 0.5


class Store(Protocol):
    """Write-once keys; every method raises StoreError where the store itself fails."""

    uri: str

    def get(self, key: str) -> bytes | memoryview:
        """The bytes under the key (large files are mapped, not read); KeyMissing where there are none."""

    def put(self, key: str, data: bytes) -> bool:
        """Writes the key once: True where this call wrote it, False where it held the same bytes already; KeyTaken where it holds others."""

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> list[str]:
        """All keys that start with the prefix, sorted."""

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        """Moves a pointer from the expected bytes (None: absent) to new ones; False where it held something else."""

    def append(self, key: str, data: bytes) -> None:
        """Adds whole lines at the end of a log; only journals do."""

    def delete(self, key: str) -> None:
        """Removes the key if it is there; only the server does, with replies to closed rounds and with states it need not keep."""

    def at(self, prefix: str) -> "Store":
        """The same store seen from under a prefix."""


def open_store(uri: str) -> Store:
    """Opens `file://PATH` or a plain path (relative ones count from the working directory), `s3://bucket/prefix`, or `memory://`."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return FileStore(Path(uri))
    if scheme == "file" and rest:
        return FileStore(Path(rest))
    if scheme == "memory":
        return DictStore({})
    raise InputError(f"The store '{uri}' is of no known kind; write file://FOLDER or s3://BUCKET/PREFIX.")


def wait(store: Store, key: str, deadline_seconds: float) -> bytes | memoryview:
    """The bytes under the key as soon as they are there; StoreError after the deadline."""
    end, pause = time.monotonic() + deadline_seconds, POLL_SECONDS_MIN
    while True:
        try:
            return store.get(key)
        except KeyMissing:
            left = end - time.monotonic()
            if left <= 0:
                raise StoreError(f"'{key}' did not appear in {store.uri} within {deadline_seconds:g} s.") from None
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, POLL_SECONDS_MAX)


class DictStore:
    """A store in a dict, for tests and for jobs that need leave nothing behind."""

    def __init__(self, keys: dict[str, bytes], prefix: str = "") -> None:
        self._keys, self._prefix, self.uri = keys, prefix, f"memory://{prefix}"

    def get(self, key: str) -> bytes:
        try:
            return self._keys[self._prefix + key]
        except KeyError:
            raise KeyMissing(key) from None

    def put(self, key: str, data: bytes) -> bool:
        there = self._keys.setdefault(self._prefix + check_key(key), data)
        if there is not data and there != data:
            raise KeyTaken(key)
        return there is data

    def exists(self, key: str) -> bool:
        return self._prefix + key in self._keys

    def list(self, prefix: str) -> list[str]:
        whole = self._prefix + prefix
        return sorted(key.removeprefix(self._prefix) for key in self._keys if key.startswith(whole))

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        if self._keys.get(self._prefix + key) != expected:
            return False
        self._keys[self._prefix + check_key(key)] = data
        return True

    def append(self, key: str, data: bytes) -> None:
        self._keys[self._prefix + key] = self._keys.get(self._prefix + key, b"") + data

    def delete(self, key: str) -> None:
        self._keys.pop(self._prefix + key, None)

    def at(self, prefix: str) -> "DictStore":
        return DictStore(self._keys, f"{self._prefix}{prefix.strip('/')}/")


class FileStore:
    """A store in a folder: a key is a file, written beside its place and hard-linked into it, so that a reader never sees half of it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.uri = f"file://{self.root}"

    def get(self, key: str) -> bytes | memoryview:
        try:
            with open(self.root / key, "rb") as file:
                if os.fstat(file.fileno()).st_size < 1 << 20:
                    return file.read()
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise KeyMissing(key) from None
        except OSError as error:
            raise StoreError(f"'{key}' could not be read from {self.uri}: {error.strerror}.") from error

    def put(self, key: str, data: bytes) -> bool:
        path = self.root / check_key(key)
        draft = self._draft(path, data)
        try:
            os.link(draft, path)
            return True
        except FileExistsError:
            if path.read_bytes() == data:
                return False
            raise KeyTaken(key) from None
        except OSError as error:
            raise StoreError(f"'{key}' could not be written to {self.uri}: {error.strerror}.") from error
        finally:
            draft.unlink()

    def _draft(self, path: Path, data: bytes) -> Path:
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.draft")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(data)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StoreError(f"'{path.name}' could not be written to {path.parent}: {error.strerror}.") from error
        return draft

    def exists(self, key: str) -> bool:
        return (self.root / key).is_file()

    def list(self, prefix: str) -> list[str]:
        folder, _, start = prefix.rpartition("/")
        return sorted(key for key in self._walk(self.root / folder, f"{folder}/" if folder else "", start))

    def _walk(self, folder: Path, above: str, start: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if not entry.name.startswith(start) or entry.name.endswith(".draft"):
                continue
            if entry.is_dir():
                yield from self._walk(folder / entry.name, f"{above}{entry.name}/", "")
            else:
                yield above + entry.name

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        path = self.root / check_key(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_name(f".{path.name}.lock.draft"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            current = path.read_bytes() if path.is_file() else None
            if current != expected:
                return False
            os.replace(self._draft(path, data), path)
            return True

    def append(self, key: str, data: bytes) -> None:
        path = self.root / check_key(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            file.write(data)

    def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)

    def at(self, prefix: str) -> "FileStore":
        return FileStore(self.root / prefix)


def check_key(key: str) -> str:
    """The key; InputError for one that would leave the store's root."""
    if not key or key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")):
        raise InputError(f"'{key}' is no key: it is a relative path without '.' and '..'.")
    return key
