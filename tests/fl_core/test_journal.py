import json
from pathlib import Path

import pytest

from fl_core.errors import StoreError
from fl_core.journal import JOURNAL, find_break, holding, is_signed, journal, let_out, read_journal, staged, tips
from fl_core.run_folder import Run
from fl_core.store import DictStore, FileStore
from tests.fl_core.harness import three_clients
from tests.jobs import tiny_job


@pytest.fixture
def run() -> Run:
    return Run("a", tiny_job(), DictStore({}))


def lines(run: Run) -> bytes:
    return bytes(run.store.get(JOURNAL))


def test_events_are_read_in_the_order_in_which_they_happened(run: Run) -> None:
    journal(run, "done", round=1, worker="köln")
    journal(run, "died", client="b")
    events = read_journal(run)
    assert [event["event"] for event in events] == ["done", "died"]
    assert (events[0]["round"], events[0]["worker"], events[1]["client"]) == (1, "köln", "b")


def test_a_run_without_a_journal_has_no_events(run: Run) -> None:
    assert read_journal(run) == []


def test_a_line_that_was_cut_off_is_passed_over(run: Run) -> None:
    journal(run, "done", round=1)
    run.store.append(JOURNAL, b'{"format": 1, "event": "do\n')
    journal(run, "done", round=2)
    run.store.append(JOURNAL, b'{"format": 1, "even')
    assert [event["round"] for event in read_journal(run)] == [1, 2]


def test_a_stage_that_fails_is_not_noted(run: Run) -> None:
    with staged(run, "close", 3):
        pass
    with pytest.raises(RuntimeError), staged(run, "close", 4):
        raise RuntimeError
    assert [(event["event"], event["stage"], event["round"]) for event in read_journal(run)] == [("stage", "close", 3)]


def test_each_writers_lines_are_chained_though_they_interleave(tmp_path: Path) -> None:
    writers = [Run("a", tiny_job(), FileStore(tmp_path)) for _ in range(2)]
    for round in range(3):
        for writer in writers:
            journal(writer, "done", round=round)
    assert len({event["writer"] for event in read_journal(writers[0])}) == 2
    assert len(tips(writers[0])) == 2
    assert find_break(lines(writers[0]), tips(writers[0])) is None


@pytest.mark.parametrize(
    ("change", "place"), [("edit", "at or before line 3"), ("drop", "at or before line 2"), ("swap", "at or before line 1"), ("cut", "in the last lines")]
)
def test_a_line_that_was_edited_dropped_or_moved_breaks_the_chain(run: Run, change: str, place: str) -> None:
    for round in range(3):
        journal(run, "done", round=round)
    whole = lines(run).splitlines()
    if change == "edit":
        whole[1] = json.dumps({**json.loads(whole[1]), "round": 9}).encode()
    elif change == "drop":
        del whole[1]
    elif change == "cut":
        del whole[-1]
    else:
        whole[0], whole[1] = whole[1], whole[0]
    found = find_break(b"\n".join(whole), tips(run))
    assert found is not None
    assert found.startswith(place)


def test_lines_that_are_held_are_written_together_and_lose_nothing(run: Run) -> None:
    written: list[bytes] = []
    run.store.append = lambda key, data: written.append(data)  # type: ignore[method-assign]
    with holding(run):
        for round in range(5):
            journal(run, "done", round=round)
    assert [len(data.splitlines()) for data in written] == [1, 4]


def test_what_was_held_for_long_enough_is_let_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with holding(run):
        journal(run, "done", round=1)
        journal(run, "done", round=2)
        let_out(run)
        assert len(read_journal(run)) == 1
        monkeypatch.setattr("fl_core.journal.time.monotonic", lambda: 1e12)
        let_out(run)
        assert len(read_journal(run)) == 2


def test_lines_that_could_not_be_written_are_written_with_the_next(run: Run) -> None:
    append, broken = run.store.append, [True]

    def append_or_fail(key: str, data: bytes) -> None:
        if broken.pop() if broken else False:
            raise StoreError("full")
        append(key, data)

    run.store.append = append_or_fail  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        journal(run, "done", round=1)
    journal(run, "done", round=2)
    assert find_break(lines(run), tips(run)) is None
    assert [event["round"] for event in read_journal(run)] == [1, 2]


@pytest.mark.parametrize("forge", [False, True])
def test_lines_after_the_signed_ones_count_if_a_role_of_the_run_signed_the_last_of_them(forge: bool) -> None:
    run = three_clients()
    journal(run, "done", round=1)
    signed = tips(run)
    late = Run(run.name, run.job, run.store, run.private, run.given)
    with holding(late, "worker-1"):
        for round in (1, 2, 3):
            journal(late, "done", round=round)
    data = lines(run).replace(b'"round": 2', b'"round": 7') if forge else lines(run)
    assert [event["round"] for event in read_journal(run, signed)] == [1]
    place = find_break(data, signed, lambda line: is_signed(run, line))
    assert place == ("at or before line 4" if forge else None)
    assert find_break(data, signed) is not None, "nobody else's lines count"


def test_a_line_that_was_signed_in_another_run_or_by_no_role_does_not_count() -> None:
    run, other = three_clients(), three_clients()
    with holding(run, "worker-1"):
        journal(run, "done", round=1)
    line = lines(run).rstrip()
    assert is_signed(run, line)
    assert not is_signed(other, line)
    assert not is_signed(run, line.replace(b"worker-1", b"worker-7"))
    assert not is_signed(run, b"{}")
