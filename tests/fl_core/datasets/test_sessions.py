"""Sessions from event logs and from lines: what is read, what is left out, and the sentences where nothing can be."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl_core.data import open_data
from fl_core.datasets.sessions import sessions
from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.types import CentralData

LOG = """SessionId,Time,ItemId
7,2014-04-07T10:00:05Z,500
7,2014-04-07T10:00:01Z,900
9,2014-04-07T11:00:00Z,500
9,2014-04-07T11:00:09Z,30
9,2014-04-07T11:00:04Z,900
"""
# A visitor comes again after hours, which begins a session.
RETAIL = """timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,500,
1433224214164,992329,view,500,
1433221322117,257597,view,900,
1433224215164,992329,addtocart,900,
1433224216164,992329,transaction,30,44
1433307735000,992329,view,500,
"""
# The log above, all of it to train on: the commonest items come first, equals by name: 500, 900, 30.
EXPECTED_X, EXPECTED_Y = [[2, 0], [1, 2]], [[1, 0], [2, 3]]


def write(folder: Path, text: str, name: str = "log.csv") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


def rows(data: CentralData) -> tuple[list[list[int]], list[list[int]]]:
    return data.train.x.tolist(), data.train.y.tolist()


@pytest.mark.parametrize(
    "text",
    [
        LOG,
        LOG.replace("\n", "\r\n"),
        "\ufeff" + LOG.replace("9,2014", "\n9,2014"),
        LOG.replace(",", ";"),
        LOG.replace(",", "\t"),
        LOG.partition("\n")[2],
        LOG.replace("SessionId,Time,ItemId", "session_id,timestamp,product_id").replace("T", " "),
        LOG + "9,2014-04-07T11:00:09Z,30\n",
        LOG + "12,2014-04-07T12:00:00Z,500\n",
        LOG.replace("Z", " UTC"),
        "ItemId,x,SessionId,Time\n500,a,7,5\n900,a,7,1\n500,a,9,10\n30,a,9,19\n900,a,9,14\n",
        "7 900 1396864801\n7 500 1396864805\n9 500 1396868400\n9 900 1396868404\n9 30 1396868409\n",
        "7,1,900\n7,5,500\n9,10,500\n9,14,900\n9,19,30\n",
        "7,900\n7,500\n9,500\n9,900\n9,30\n",
        "900 500\n500 900 30\n",
        "items\n900,500\n\n500,900,30\n4\n",
        "[900, 500]\r\n[500, 900, 30]\r\n",
        RETAIL,
        RETAIL.partition("\n")[2].rpartition("1433307735000")[0],
        RETAIL.replace("visitorid", "visitor_id_hash").replace("itemid", "product_sku_hash").replace("timestamp", "server_timestamp_epoch_ms"),
        LOG.replace(",", '"\t"').replace("\n", '"\n"').removesuffix('"').replace("Sess", '"Sess', 1),
        LOG.replace(",", '","').replace("\n", '"\n"').removesuffix('"').replace("Sess", '"Sess', 1),
        LOG + LOG.partition("\n")[0] + "\n" + 20 * "9,2014-04-07T11:00:09Z,30\n" + "9,2014-0",
        8 * "7,2014-04-07T10:00:05Z,500,0\n" + LOG.partition("\n")[2].replace("\n", ",0\n") + "9,2014",
    ],
    ids=[
        "log", "crlf", "bom and blanks", "semicolons", "tabs", "no header", "other names", "twice", "one item", "utc", "columns", "epoch", "ticks",
        "no time", "lines", "title", "lists", "retailrocket", "time first", "akin names", "quoted tabs", "quoted", "cut and joined", "cut, no header",
    ],
)  # fmt: skip
def test_the_same_sessions_are_read_from_many_kinds_of_files(tmp_path: Path, text: str) -> None:
    assert rows(sessions(write(tmp_path, text), test_share=0)) == (EXPECTED_X, EXPECTED_Y)


def packed(text: bytes, *names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return content.getvalue()


WORDS = b"milk bread\nbread milk eggs\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.gz", gzip.compress(WORDS)),
        ("log.txt", gzip.compress(WORDS)),
        ("log.zip", packed(WORDS, "a/log.txt")),
        ("log.txt", WORDS.decode().encode("utf-16")),
    ],
    ids=["gzip", "gzip by another name", "zip", "a spreadsheet's unicode"],
)
def test_a_packed_file_of_words_is_read_as_well(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert rows(sessions(tmp_path / name, test_share=0)) == ([[2, 0], [1, 2]], [[1, 0], [2, 3]])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gzip.compress(1000 * WORDS)[:-9],
         "The data file 'log' is not a whole packed file (Compressed file ended before the end-of-stream marker was reached); copy it again."),
        (packed(WORDS, "a.csv", "b.csv"), "'log' holds 2 files (a.csv, b.csv); unpack the one with the sessions and name it."),
        (b"milk\nbr\xe9d\n", "'log' is not UTF-8 text (at line 1 or soon after); save it as UTF-8."),
        (b"item,user\n" + 999 * b"5,a\n" + b'5,"a\n' + 60_000 * b"b,2\n", "'log' cannot be read at line 44692: field larger than field limit (131072)."),
        (b'item,user\n5,"a\n' + 2000 * b"b,2\n", "'log' opens a quotation at line 2 that goes on for many lines; close it there."),
    ],
    ids=["cut gzip", "two files", "latin", "open quotation far below", "open quotation"],
)  # fmt: skip
def test_a_file_that_is_no_text_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(InputError) as caught:
        sessions(tmp_path / "log")
    assert str(caught.value).replace(f"{tmp_path}/", "") == sentence


def test_a_person_s_events_are_cut_into_sessions_where_half_an_hour_passes_or_what_is_asked_for(tmp_path: Path) -> None:
    text = "user,time,item\n1,0,a\n1,1700,b\n1,5000,a\n1,6700,c\n"
    assert rows(sessions(write(tmp_path, text), test_share=0)) == ([[1], [1]], [[2], [3]])
    assert rows(sessions(write(tmp_path, text), test_share=0, gap_minutes=60)) == ([[1, 2, 1]], [[2, 1, 3]])
    assert rows(sessions(write(tmp_path, text.replace("user", "session")), test_share=0)) == ([[1, 2, 1]], [[2, 1, 3]])
    assert rows(sessions(write(tmp_path, text.replace("user", "session")), test_share=0, gap_minutes=30)) == ([[1], [1]], [[2], [3]])


def test_ids_whose_events_mostly_span_more_than_a_day_are_taken_for_people_s(tmp_path: Path) -> None:
    text = "".join(f"{who},2024-01-0{day}T10:0{minute}:00,{'ab'[minute]}\n" for who in "xy" for day in (1, 2, 3) for minute in (0, 1))
    assert rows(sessions(write(tmp_path, text), test_share=0)) == ([[1]] * 6, [[2]] * 6)


def test_the_time_within_a_session_orders_events_of_one_day(tmp_path: Path) -> None:
    text = "sessionId;userId;itemId;timeframe;eventdate\n1;NA;5;900;2016-05-09\n1;NA;6;100;2016-05-09\n1;NA;5;300;2016-05-08\n"
    assert rows(sessions(write(tmp_path, text), test_share=0)) == ([[1, 2]], [[2, 1]])


def test_the_last_sessions_to_end_are_the_test_half_without_items_that_are_new_in_it(tmp_path: Path) -> None:
    text = "session,time,item\nlate,90,a\nlate,95,new\nlate,97,b\nold,1,a\nold,2,b\nmid,9,a\nmid,4,c\n"
    data = sessions(write(tmp_path, text), test_share=0.34)
    assert data.test is not None
    assert (data.test.x.tolist(), data.test.y.tolist()) == ([[1]], [[2]])
    assert rows(data) == ([[1], [3]], [[2], [1]])


def test_days_split_by_time_and_lines_by_their_place(tmp_path: Path) -> None:
    text = "session,time,item\n1,2024-01-01,a\n1,2024-01-01,b\n2,2024-01-09,b\n2,2024-01-09,a\n3,2024-01-02,a\n3,2024-01-02,b\n"
    assert len(sessions(write(tmp_path, text), test_days=3).train) == 2
    lines = sessions(write(tmp_path, "a b\nb a\na b\n", "lines.txt"), test_share=0.34)
    assert len(lines.train) == 2


def test_of_a_long_log_the_last_sessions_are_learnt_from_and_test_sessions_at_even_distances_measured(tmp_path: Path) -> None:
    text = "".join(f"a{place} b{place} c{place}\n" for place in range(6)) + 4 * "b4 b5\n"
    data = sessions(write(tmp_path, text), test_share=0.4, training_steps_max=5, test_steps_max=2)
    assert data.test is not None
    # Two sessions of two steps fit; of their items the test sessions hold b4 and b5, and two of the four are measured.
    assert (data.train.x.tolist(), len(data.test)) == ([[1, 3], [2, 4]], 2)
    assert len(sessions(write(tmp_path, text), test_share=0, training_steps_max=1).train) == 1


def test_a_test_file_is_numbered_like_the_training_file(tmp_path: Path) -> None:
    data = sessions(write(tmp_path, "b a\na b a\n"), test_path=write(tmp_path, "c a b\nd\n", "test.txt"))
    assert data.test is not None
    assert (data.test.x.tolist(), data.test.y.tolist()) == ([[1]], [[2]])


def test_rare_items_are_left_out_and_sessions_with_them(tmp_path: Path) -> None:
    assert rows(sessions(write(tmp_path, "a b c\na b\nb d\n"), test_share=0, min_item_count=2)) == ([[1], [1]], [[2], [2]])


def test_a_long_session_goes_on_in_further_rows_and_no_step_is_lost(tmp_path: Path) -> None:
    data = sessions(write(tmp_path, "a b c d e f\na b\n"), test_share=0, longest=2)
    assert rows(data) == ([[1, 2], [3, 4], [5, 0], [1, 0]], [[2, 3], [4, 5], [6, 0], [2, 0]])
    assert data.columns["length"].tolist() == [6, 6, 6, 2]


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("", {}, "'log.csv' holds no sessions; it has an event or a session a line."),
        ("\n\r\n", {}, "'log.csv' holds no sessions; it has an event or a session a line."),
        ("a,time,b\n1,2,3\n1,3,4\n", {}, "'log.csv' names the columns a, time, b, none of which is known for a session; set data.session to one of them."),
        (LOG, {"item": "ItemID"}, "data.item is 'ItemID', which is no column of 'log.csv'; did you mean 'ItemId'?"),
        ("1,2,3\n1,3,4\n", {"item": 4, "session": 1}, "data.item is 4, but the lines of 'log.csv' have 3 cells; count them from 1."),
        ("1,2,3\n1,3,4\n", {"item": 3}, "data.session is missing; 'log.csv' has no header that tells it, so give its place, from 1."),
        (LOG + "9,yesterday,30\n", {}, "'log.csv' holds 'yesterday' at line 7, where a time belongs; write a number or a date such as 2014-04-07T10:51:09Z."),
        (LOG + "\n9,2014-04-07\n", {}, "'log.csv' lacks session, item or time at line 8; fill the cell or leave the line out."),
        ("a\nb\n", {},
         "'log.csv' leaves no session of two items and more to train on; look at data.session and data.layout, or take a smaller test half or min_item_count."),
        ("a b\nc d\n", {"test_share": 0.5},
         "No test session of 'log.csv' has two items of the training half; take a larger test half, or set data.test_share to 0."),
        ("a b\na b\n", {"test_days": 2}, "data.test_days is 2, but 'log.csv' has no times; set data.test_share instead."),
        ("a b c\nd\n", {"layout": "events"},
         "data.layout is 'events', but 'log.csv' does not show which columns hold session and item; set data.session and data.item."),
    ],
)  # fmt: skip
def test_a_file_without_sessions_is_refused_in_one_sentence(tmp_path: Path, text: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        sessions(write(tmp_path, text), **options)
    assert str(caught.value).replace(f"{tmp_path}/", "") == sentence


def test_a_job_deals_sessions_to_clients(tmp_path: Path) -> None:
    write(tmp_path, "".join(f"{i % 7} {i % 5} {i % 3}\n" for i in range(40)), "s.txt")
    text = "{format: 1, name: t, program: {name: gru4rec, items: 7}, rounds: 1, data: {name: sessions, path: s.txt, partition: {name: iid, clients: 4}}}"
    job = parse_job(text, folder=tmp_path)
    data = open_data(job, job.data)
    assert list(data.sizes) == [8, 8, 8, 8]
    assert data.open("client-3").x.shape == (8, 2)
    test = data.test()
    assert test is not None
    assert test.y.dtype == np.int32
