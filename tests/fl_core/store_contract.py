"""What every store keeps to, in one place: a test class for each kind of store inherits these and gives the fixture `store`, an empty one."""

import hashlib
import threading
from collections.abc import Callable

import pytest

from fl_core.errors import InputError, KeyMissing, KeyTaken, StoreError
from fl_core.store import Store
from fl_core.waiting import wait

LARGE = b"0123456789abcdef" * 100_000


def together(calls: list[Callable[[], object]]) -> list[object]:
    """What the calls give, or raise, when they start at the same moment."""
    start, results = threading.Barrier(len(calls)), [object()] * len(calls)

    def one(place: int) -> None:
        start.wait(10)
        try:
            results[place] = calls[place]()
        except StoreError as error:
            results[place] = type(error)

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


class StoreContract:
    def test_what_was_put_is_what_is_got(self, store: Store) -> None:
        assert store.put("rounds/0001/plan.json", b"{}")
        assert bytes(store.get("rounds/0001/plan.json")) == b"{}"

    def test_empty_and_large_values_come_back_whole(self, store: Store) -> None:
        store.put("empty", b"")
        store.put("large", memoryview(LARGE))
        assert bytes(store.get("empty")) == b""
        assert hashlib.sha256(store.get("large")).digest() == hashlib.sha256(LARGE).digest()

    def test_a_key_is_written_once(self, store: Store) -> None:
        data = b"first"
        assert store.put("key", data) is True
        assert store.put("key", data) is False
        with pytest.raises(KeyTaken, match="'key'"):
            store.put("key", b"other")
        assert bytes(store.get("key")) == b"first"

    def test_a_large_key_is_written_once(self, store: Store) -> None:
        store.put("large", LARGE)
        assert store.put("large", memoryview(LARGE)) is False
        with pytest.raises(KeyTaken):
            store.put("large", LARGE[:-1] + b"!")

    def test_a_key_that_was_deleted_can_be_put_again(self, store: Store) -> None:
        store.put("key", b"first")
        store.delete("key")
        assert store.put("key", b"second") is True

    def test_many_keys_are_deleted_at_once_and_missing_ones_are_passed_over(self, store: Store) -> None:
        for key in ("a/1", "a/2", "b/1", "b/log.jsonl"):
            store.append(key, b"1\n") if key.endswith("jsonl") else store.put(key, b"1")
        store.delete("a/1", "a/2", "a/3", "b/log.jsonl")
        store.delete()
        assert store.list("") == ["b/1"]

    def test_a_missing_key_is_said_so_by_name(self, store: Store) -> None:
        with pytest.raises(KeyMissing, match=r"'rounds/0001/plan\.json'") as error:
            store.get("rounds/0001/plan.json")
        assert error.value.key == "rounds/0001/plan.json"
        assert not store.exists("rounds/0001/plan.json")

    def test_a_folder_is_no_key(self, store: Store) -> None:
        store.put("rounds/0001/plan.json", b"{}")
        assert not store.exists("rounds/0001")
        with pytest.raises(KeyMissing):
            store.get("rounds/0001")

    def test_keys_are_listed_by_prefix_and_in_order(self, store: Store) -> None:
        for key in ("b/2", "a/10", "a/9", "ab", "a/x/y"):
            store.put(key, b"-")
        assert store.list("") == ["a/10", "a/9", "a/x/y", "ab", "b/2"]
        assert store.list("a") == ["a/10", "a/9", "a/x/y", "ab"]
        assert store.list("a/") == ["a/10", "a/9", "a/x/y"]
        assert store.list("a/1") == ["a/10"]
        assert store.list("nothing/") == []

    def test_a_key_may_hold_any_letters(self, store: Store) -> None:
        store.put("clients/f%C3%BC r/ä +=&?#.bin", b"1")
        assert bytes(store.get("clients/f%C3%BC r/ä +=&?#.bin")) == b"1"
        assert store.list("clients/") == ["clients/f%C3%BC r/ä +=&?#.bin"]

    @pytest.mark.parametrize("key", ["", "/etc/passwd", "../other", "a/../b", "a//b", "./a"])
    def test_a_key_cannot_leave_the_store(self, store: Store, key: str) -> None:
        for call in (store.get, store.exists, store.delete, lambda k: store.put(k, b""), lambda k: store.swap(k, None, b""), lambda k: store.append(k, b"\n")):
            with pytest.raises(InputError, match="is no key"):
                call(key)

    def test_a_view_of_a_prefix_is_a_store(self, store: Store) -> None:
        view = store.at("runs/one")
        view.put("rounds/0001/plan.json", b"{}")
        assert store.list("") == ["runs/one/rounds/0001/plan.json"]
        assert view.list("") == ["rounds/0001/plan.json"]
        assert bytes(view.at("rounds").get("0001/plan.json")) == b"{}"
        with pytest.raises(InputError):
            store.at("runs/../..")

    def test_a_pointer_moves_only_from_what_is_expected(self, store: Store) -> None:
        assert store.swap("latest", b"0", b"1") is False
        assert store.swap("latest", None, b"1") is True
        assert store.swap("latest", None, b"2") is False
        assert store.swap("latest", b"0", b"2") is False
        assert store.swap("latest", b"1", b"2") is True
        assert bytes(store.get("latest")) == b"2"
        assert store.list("") == ["latest"]

    def test_of_many_writers_one_puts(self, store: Store) -> None:
        results = together([lambda i=i: store.put("key", b"%d" % i) for i in range(8)])
        assert sorted(map(str, results)) == sorted(["True", *[str(KeyTaken)] * 7])
        assert results[int(bytes(store.get("key")))] is True

    def test_of_many_writers_of_the_same_bytes_all_succeed_and_one_writes(self, store: Store) -> None:
        assert sorted(together([lambda: store.put("key", b"same")] * 8), key=str) == [*[False] * 7, True]

    def test_no_move_of_a_pointer_is_lost(self, store: Store) -> None:
        store.swap("count", None, b"0")

        def add_five() -> None:
            added = 0
            while added < 5:
                now = bytes(store.get("count"))
                added += store.swap("count", now, b"%d" % (int(now) + 1))

        together([add_five] * 4)
        assert bytes(store.get("count")) == b"20"

    def test_a_log_grows_by_lines_in_order(self, store: Store) -> None:
        for i in range(5):
            store.append("journal.jsonl", b'{"event": %d}\n' % i)
        assert bytes(store.get("journal.jsonl")) == b"".join(b'{"event": %d}\n' % i for i in range(5))
        assert store.exists("journal.jsonl")
        assert store.list("") == ["journal.jsonl"]

    def test_a_log_keeps_every_writers_lines(self, store: Store) -> None:
        def write(writer: int) -> None:
            for i in range(5):
                store.append("journal.jsonl", b"%d-%d\n" % (writer, i))

        together([lambda w=w: write(w) for w in range(4)])
        lines = bytes(store.get("journal.jsonl")).decode().splitlines()
        assert sorted(lines) == sorted(f"{w}-{i}" for w in range(4) for i in range(5))
        for writer in range(4):
            assert [line for line in lines if line.startswith(f"{writer}-")] == [f"{writer}-{i}" for i in range(5)]

    def test_a_deleted_log_is_gone(self, store: Store) -> None:
        store.append("journal.jsonl", b"line\n")
        store.delete("journal.jsonl")
        assert not store.exists("journal.jsonl")
        assert store.list("") == []

    def test_deleting_what_is_not_there_is_no_error(self, store: Store) -> None:
        store.delete("key")

    def test_waiting_gives_a_key_as_soon_as_it_is_there(self, store: Store) -> None:
        timer = threading.Timer(0.05, store.put, ("key", b"at last"))
        timer.start()
        assert bytes(wait(store, "key", 30)) == b"at last"
        timer.join()

    def test_waiting_ends_at_its_deadline(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"'key' did not appear in .* within 0.05 s"):
            wait(store, "key", 0.05)
