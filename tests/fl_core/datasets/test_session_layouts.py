"""Session files as the world lays them out: each kind is read as the same sessions, or refused in a sentence that says what to set."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fl_core.datasets.sessions import sessions
from fl_core.errors import InputError
from fl_core.types import CentralData

# 24 sessions of one to four of nine items, an hour from each other; ids have gaps.
SESSIONS = {11 + 7 * number: [500 + 5 * (number * 4 % 7 + step * step % 3) for step in range(1 + number % 4)] for number in range(24)}
START = 1_396_900_000
EVENTS = [(session, item, START + 3601 * (session // 7) + 60 * step) for session, items in SESSIONS.items() for step, item in enumerate(items)]
# Another order of the same events: by their step, as of people who are there at once.
INTERLEAVED = sorted(EVENTS, key=lambda event: (event[2] - START) % 3601 // 60)

Event = Callable[[int, int, int], str]


def iso(time: int, form: str = "%Y-%m-%dT%H:%M:%S.000Z") -> str:
    return datetime.fromtimestamp(time, UTC).strftime(form)


def log(line: Event, header: str = "", events: list[tuple[int, int, int]] = EVENTS) -> str:
    return header + "".join(line(*event) + "\n" for event in events)


def lines(line: Callable[[int, list[int]], str], header: str = "") -> str:
    return header + "".join(line(session, items) + "\n" for session, items in SESSIONS.items())


def read(folder: Path, text: str, **options: object) -> CentralData:
    (folder / "log.txt").write_text(text)
    return sessions(folder / "log.txt", test_share=0, **options)  # type: ignore[arg-type]


def rows(data: CentralData) -> list[tuple[list[int], list[int]]]:
    return sorted(zip(data.train.x.tolist(), data.train.y.tolist(), strict=True))


def one_empty(text: str, number: int, cell: str, other: str = "") -> str:
    """The text with one cell of one line replaced, and that line there a second time as it was."""
    found = text.splitlines(keepends=True)
    return "".join([*found[:number], found[number].replace(cell, other), *found[number:]])


RSC15 = log(lambda s, i, t: f"{s},{iso(t)},{i},0")
NUMBERS = log(lambda s, i, t: f"{s}\t{i}\t{t}.123")
KNOWN = {
    "rsc15, an empty time": one_empty(RSC15, 5, iso(EVENTS[5][2])),
    "rsc15, a header in the middle": one_empty(RSC15, 9, f"{EVENTS[9][0]},{iso(EVENTS[9][2])},{EVENTS[9][1]}", "session_id,timestamp,item_id"),
    "rsc15, the first time is empty": one_empty(RSC15, 0, iso(EVENTS[0][2])),
    "a time that is nan": one_empty(NUMBERS, 7, f"{EVENTS[7][2]}.123", "nan"),
    "comments": "# made by hand\n# 2014\n" + NUMBERS,
    "a remark": "#made by hand\n" + NUMBERS,
    "comments and a header": "# made by hand\n" + log(lambda s, i, t: f"{s},{i},{t}", "SessionId,ItemId,Time\n"),
    "otto": lines(lambda s, items: json.dumps({"session": s, "events": [{"aid": i, "ts": START + k, "type": "clicks"} for k, i in enumerate(items)]})),
    "objects of one event": log(lambda s, i, t: json.dumps({"user_id": s, "item_id": i, "timestamp": t * 1000})),
    "objects with lists beside an item": log(lambda s, i, t: json.dumps({"reviewerID": s, "helpful": [0, 0], "asin": i, "unixReviewTime": t})),
    "words of no header": log(lambda s, i, t: f"user_{s},item_{i},{t}"),
    "words of no header, interleaved": log(lambda s, i, t: f"user_{s}\t{iso(t)}\titem_{i}", events=INTERLEAVED),
    "last.fm": log(lambda s, i, t: f"user_{s:06}\t{iso(t)}\tart-{i % 2}\tThe User\ttr-{i}\tLove Song {i % 7}"),
    "foursquare": log(lambda s, i, t: f"{s}\tven{i}\tc{i % 2}\tBar\t40.{i}\t-73.9{i}\t-240\t{iso(t, '%a %b %d %H:%M:%S +0000 %Y')}"),
    "gowalla": log(lambda s, i, t: f"{s}\t{iso(t)}\t{30 + i / 1000 + t % 89 / 1e5:.7f}\t-97.{t % 97}\t{i}"),
    "american dates": log(lambda s, i, t: f"{s},{iso(t, '%m/%d/%Y %I:%M:%S %p')},{i}"),
    "web server's dates": log(lambda s, i, t: f"{s},{i},{iso(t, '%d/%b/%Y:%H:%M:%S')}"),
    "a date and a time between spaces": log(lambda s, i, t: f"{s} {iso(t, '%Y-%m-%d %H:%M:%S')} {i}"),
    "decimal commas": log(lambda s, i, t: f"{s};{i};{t},25", "SessionId;ItemId;Time\n"),
    "two columns": log(lambda s, i, t: f"{s},{i}"),
    "two columns, interleaved": log(lambda s, i, t: f"{s},{i}", events=INTERLEAVED),
    "a rating": log(lambda s, i, t: f"{s}\t{i}\t5"),
    "a step behind": log(lambda s, i, t: f"{s}\t{i}\t{(t - START) % 3601 // 60}"),
    "a step between": log(lambda s, i, t: f"{s}\t{(t - START) % 3601 // 60}\t{i}"),
    "sessions of ten digits": log(lambda s, i, t: f"{1_000_000_000 + s},{iso(t)},{i}"),
    "people's numbers as large as times": log(lambda s, i, t: f"{1_300_000_000 + 1_234_567 * s},{i},{t}"),
    "items as large as times": log(lambda s, i, t: f"A{s},{1_400_000_000 + i},5.0,{t}"),
    "movielens": log(lambda s, i, t: f"{s}::{i}::3::{t}"),
    "u.data": log(lambda s, i, t: f"{s}\t{i}\t3\t{t}"),
    "hive's names": log(lambda s, i, t: f"{s}\t{i}\t{t}", "interactions.user_id\tinteractions.item_id\tinteractions.created_at\n"),
    "several categories of an item": log(lambda s, i, t: f"{s},{i},3|{i % 7}|5,{t}", "session_id,item_id,item_categories,time\n"),
    "orders": log(lambda s, i, t: f"{s},{i},{(t - START) % 3601 // 60}", "order_id,product_id,add_to_cart_order\n", INTERLEAVED),
    "baskets": log(lambda s, i, t: f"b{s},p{i},{iso(t)}", "basket,sku_code,when\n"),
    "people's orders": log(lambda s, i, t: f"{s % 3},{s},{i},{t}", "customer_id,order_id,sku,time\n"),
    "transactions that few have": log(lambda s, i, t: f"{t},{s},{i},{'' if s % 9 else 7}", "timestamp,visitorid,itemid,transactionid\n"),
    "looks without an item": log(lambda s, i, t: f"{s},{i},{t}\n{s},,{t}", "session,item,time\n"),
    "an id and items": lines(lambda s, items: f"{s}\t{' '.join(map(str, items))}"),
    "an id and items with commas": lines(lambda s, items: f"{s}\t{','.join(map(str, items))}"),
    "an id and a list": lines(lambda s, items: f'{s},"{items}"', "session_id,item_ids\n"),
    "a header over an id and items": lines(lambda s, items: f"{s},{' '.join(map(str, items))}", "session_id,items\n"),
    "an id with a colon": lines(lambda s, items: f"{s}: {' '.join(map(str, items))}"),
    "an id before a colon": lines(lambda s, items: f"{s}:{' '.join(map(str, items))}"),
    "an id like no item": lines(lambda s, items: f"user_{s} {' '.join(f'item_{i}' for i in items)}"),
    "a number that grows": lines(lambda s, items: f"{s} {' '.join(map(str, items))}"),
    "spmf": lines(lambda s, items: f"{' -1 '.join(map(str, items))} -1 -2"),
    "filled up under a header": lines(lambda s, items: ",".join(map(str, [*items, "", "", ""][:4])), "first,second,third,fourth\n"),
    "filled up with zeros": lines(lambda s, items: " ".join(map(str, [*items, 0, 0, 0][:4]))),
    "items of nine digits": lines(lambda s, items: " ".join(str(1_200_000_000 + i) for i in items)),
}  # fmt: skip


@pytest.mark.parametrize("text", KNOWN.values(), ids=KNOWN)
def test_a_file_is_read_as_the_sessions_that_it_holds(tmp_path: Path, text: str) -> None:
    expected = rows(read(tmp_path, lines(lambda s, items: " ".join(map(str, items)))))
    assert len(expected) == 18
    assert rows(read(tmp_path, text)) == expected


def test_pairs_of_items_are_sessions_and_not_events(tmp_path: Path) -> None:
    pairs = "".join(f"{1_200_000_000 + number * 5 % 9} {1_200_000_000 + number * 7 % 9}\n" for number in range(1, 30))
    assert len(read(tmp_path, pairs).train) == 29


def test_a_window_that_moves_over_items_does_not_begin_with_numbers_of_lines(tmp_path: Path) -> None:
    assert read(tmp_path, "".join(f"{place} {place + 1} {place + 2}\n" for place in range(30))).train.x.shape == (30, 2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (lines(lambda s, items: f"{s}\tU{s}\t11/15/2019 9:55:12 AM\t{' '.join(f'N{i}' for i in items)}\tN1-0 N2-1"),
         "'log.txt' looks like a table of 5 columns, but not which of them hold session and item; "
         "set data.session and data.item to the columns' places, from 1, or data.layout to lines."),
        (log(lambda s, i, t: f"{s},{iso(t)}"),
         "'log.txt' looks like a table of 2 columns, but not which of them hold session and item; "
         "set data.session and data.item to the columns' places, from 1, or data.layout to lines."),
        (lines(lambda s, items: f"{s}\t{' '.join(map(str, items))}\t{items[0]}", "session_id:token\titem_id_list:token_seq\titem_id:token\n"),
         "'log.txt' holds several items in a cell of column item_id_list:token_seq beside other columns; write one event or one session a line."),
        (log(lambda s, i, t: f"{s},{i},a", "msno,song_id,source\n"),
         "'log.txt' names the columns msno, song_id, source, none of which is known for a session; set data.session to one of them."),
        ("SessionId,ItemId,Time\n", "'log.txt' holds no events but only a header; it has an event or a session a line."),
        ('{"session": 1, "item": 2}\n{"session": 1,\n', "'log.txt' cannot be read at line 2: it begins with JSON objects, but this is none."),
        ("(lp0\n(lp1\n", "'log.txt' is a Python pickle, which could run any code; write its sessions to a text file, one session a line."),
        ("user,item,time\n" + "".join(f"{n},{n % 3},{START + 7001 * n}\n{n},4,{START + 7001 * n + 6000}\n" for n in range(9)),
         "'log.txt' leaves no session of two items and more to train on; data.gap_minutes is 30, set a longer break, "
         "or take a smaller test half or min_item_count."),
    ],
    ids=["mind", "no item", "augmented", "unknown names", "header only", "broken json", "pickle", "breaks"],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_the_way_out(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert str(caught.value).replace(f"{tmp_path}/", "") == sentence


def test_options_name_columns_of_a_table_that_is_not_understood(tmp_path: Path) -> None:
    unknown = log(lambda s, i, t: f"a,{i},{s}", "kind,what,who\n")
    for session, item in (("who", "what"), (3, 2)):
        assert len(read(tmp_path, unknown, session=session, item=item).train) == 18


@pytest.mark.parametrize("unit", [86_400, 3600])
def test_times_of_whole_days_or_hours_do_not_show_breaks(tmp_path: Path, unit: int) -> None:
    text = "".join(f"A{person},B{person * step % 5},5.0,{1_300_320_000 + unit * 40 * step}\n" for person in range(8) for step in range(4))
    assert [len(x) for x in read(tmp_path, text).train.x] == 8 * [3]
    with pytest.raises(InputError, match=r"data\.gap_minutes is 30, set a longer break"):
        read(tmp_path, text, gap_minutes=30)


def test_dates_of_eight_digits_are_dates(tmp_path: Path) -> None:
    text = "SessionId,ItemId,Time\n1,a,20140131\n1,b,20140201\n2,b,20140401\n2,a,20140402\n"
    (tmp_path / "log.txt").write_text(text)
    data = sessions(tmp_path / "log.txt", test_days=59)
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (1, 1)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (log(lambda s, i, t: f"{s},{i}"), "9001,500\n9002,505\n9003,500\n9003,505\n"),
        (log(lambda s, i, t: f"{s},{i},{t}", "SessionId,ItemId,Time\n"), "SessionId,ItemId,Time\n9001,500,5\n9003,500,6\n9003,505,7\n"),
        (log(lambda s, i, t: f"{s},{i},{t}", "SessionId,ItemId,Time\n"), "9001,500,5\n9003,500,6\n9003,505,7\n"),
        (log(lambda s, i, t: f"{s},{i},{t}", "SessionId,ItemId,Time\n"), "ItemId,Time,SessionId\n500,5,9001\n500,6,9003\n505,7,9003\n"),
        (lines(lambda s, items: f"{s} {' '.join(map(str, items))}"), "9001 500 505\n"),
    ],
    ids=["two columns", "header", "no header", "another header", "an id and items"],
)
def test_a_test_file_is_laid_out_as_the_training_file(tmp_path: Path, train: str, test: str) -> None:
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "test.txt").write_text(test)
    data = sessions(tmp_path / "train.txt", test_path=tmp_path / "test.txt")
    assert data.test is not None
    assert (len(data.train), data.test.x.shape) == (18, (1, 1))


def test_a_folder_is_read_as_its_files_one_after_the_other(tmp_path: Path) -> None:
    text = log(lambda s, i, t: f"{s},{i},{t}", "SessionId,ItemId,Time\n")
    whole, folder = rows(read(tmp_path, text)), tmp_path / "parts"
    folder.mkdir()
    with pytest.raises(InputError, match=r"The folder '.*parts' holds no files; put those with the sessions there\."):
        sessions(folder)
    header, *events = text.splitlines(keepends=True)
    for number in range(3):
        (folder / f"part-{number}.csv").write_text(header + "".join(events[20 * number : 20 * number + 20]))
    (folder / "_SUCCESS").write_text("")
    assert rows(sessions(folder, test_share=0)) == whole
