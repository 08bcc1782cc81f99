"""The stores that need no server, and what only a folder can get wrong."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fl_core.errors import InputError, StoreError
from fl_core.store import DRAFT_SECONDS, DictStore, FileStore, Store, open_store
from tests.fl_core.store_contract import StoreContract


class TestDictStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return DictStore({})


class TestFileStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return FileStore(tmp_path)


def test_a_store_is_opened_by_its_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store(f"file://{tmp_path}/a").uri == f"file://{tmp_path}/a"
    assert open_store("a").uri == f"file://{tmp_path}/a"
    with pytest.raises(InputError, match="'ftp://x' is of no known kind"):
        open_store("ftp://x")
    with pytest.raises(InputError, match="'memory://' is a dict in one process, where no other finds it; write file://FOLDER or"):
        open_store("memory://")


def test_a_large_file_is_mapped_and_not_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("large", bytes(2 << 20))
    assert isinstance(store.get("large"), memoryview)


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from fl_core.store import FileStore
store = FileStore(Path(sys.argv[1]))
print("ready", flush=True)
for i in range(1_000_000):
    store.put(f"{i:06d}", f"{i:06d}".encode() * 20_000)
    store.swap("latest", f"{i - 1:06d}".encode() if i else None, f"{i:06d}".encode())
    store.append("journal.jsonl", f"{i:06d}\\n".encode())
"""


@pytest.mark.parametrize("after_seconds", [0.03, 0.07, 0.11])
def test_a_writer_that_is_killed_leaves_no_half_written_key(tmp_path: Path, after_seconds: float) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(after_seconds)
        writer.send_signal(signal.SIGKILL)
    store = FileStore(tmp_path)
    keys = [key for key in store.list("") if key.isdigit()]
    assert keys
    assert keys == [f"{i:06d}" for i in range(len(keys))]
    assert all(bytes(store.get(key)) == key.encode() * 20_000 for key in keys)
    latest = bytes(store.get("latest"))
    assert latest.decode() in keys[-2:]
    assert store.swap("latest", latest, b"next")


def test_drafts_of_killed_writers_are_no_keys_and_are_removed_after_an_hour(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("rounds/key", b"whole")
    old, new = tmp_path / "rounds" / ".key.1.draft", tmp_path / "rounds" / ".key.2.draft"
    for draft in (old, new):
        draft.write_bytes(b"ha")
    os.utime(old, (time.time() - DRAFT_SECONDS - 1,) * 2)
    assert store.list("") == ["rounds/key"]
    assert new.exists()
    assert not old.exists()


def test_a_line_that_a_dying_writer_cut_off_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"one\ntw")
    FileStore(tmp_path).append("journal.jsonl", b"three\n")
    assert (tmp_path / "journal.jsonl").read_bytes() == b"one\ntw\nthree\n"


def fill(folder: Path) -> None:
    """Writes to the folder until its disk is full."""
    with open(folder / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    """A disk of one megabyte; only root may mount one."""
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(small_disk: Path) -> None:
    store = FileStore(small_disk)
    store.put("before", b"1")
    store.swap("latest", None, b"old")
    store.append("journal.jsonl", b"line\n" * 900)
    with pytest.raises(StoreError, match=r"'large' could not be written in file://.*: No space left on device\."):
        store.put("large", bytes(2 << 20))
    fill(small_disk)
    with pytest.raises(StoreError, match="No space left"):
        store.swap("latest", b"old", b"new" * 2000)
    with pytest.raises(StoreError, match="No space left"):
        store.append("journal.jsonl", b"line\n" * 2000)
    assert sorted(path.name for path in small_disk.iterdir() if path.suffix == ".draft") == []
    (small_disk / "filler").unlink()
    assert store.list("") == ["before", "journal.jsonl", "latest"]
    assert bytes(store.get("latest")) == b"old"
    assert bytes(store.get("journal.jsonl")) == b"line\n" * 900
    assert store.put("large", b"small") is True


def test_a_read_only_disk_is_read_and_refuses_to_be_written(small_disk: Path) -> None:
    store = FileStore(small_disk)
    store.put("before", b"1")
    store.swap("latest", None, b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert bytes(store.get("before")) == b"1"
    assert store.list("") == ["before", "latest"]
    put, delete = (lambda: store.put("key", b"1")), (lambda: store.delete("before"))
    swap, append = (lambda: store.swap("latest", b"old", b"new")), (lambda: store.append("x.jsonl", b"\n"))
    for call in (put, swap, append, delete):
        with pytest.raises(StoreError, match="Read-only file system"):
            call()


def test_a_file_in_the_way_of_a_folder_is_a_sentence(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("rounds", b"a file")
    with pytest.raises(StoreError, match=r"'rounds/0001/plan.json' could not be written in file://.*: "):
        store.put("rounds/0001/plan.json", b"{}")
