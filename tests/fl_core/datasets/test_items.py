"""Items that organisations number alike, by a list that they share."""

from pathlib import Path

import numpy as np
import pytest

from fl_core.cards import find_mismatches
from fl_core.datasets._items import count_items, digest_items, read_items
from fl_core.datasets.sessions import sessions
from fl_core.errors import InputError
from fl_core.federation import make_card, open_household
from fl_core.job import parse_job

NORTH, SOUTH = "apple pear\napple plum apple\npear apple\n", "plum pear\nplum apple plum plum\npear plum\n"
JOB = """
format: 1
name: shops
program: {name: gru4rec, items: 3}
data: {name: sessions, path: north.txt}
federation:
  workers:
    - {name: north, data: {name: sessions, path: north.txt, layout: lines, test_share: 0.34}}
    - {name: south, data: {name: sessions, path: south.txt, layout: lines, test_share: 0.34}}
rounds: 1
"""


def write(folder: Path, text: str, name: str = "items.txt") -> Path:
    (folder / name).write_text(text)
    return folder / name


def mismatches(folder: Path, text: str) -> list[str]:
    write(folder, NORTH, "north.txt")
    write(folder, SOUTH, "south.txt")
    job = parse_job(text, folder=folder)
    return find_mismatches(job, [make_card(job, worker.name, open_household(job, worker.name)) for worker in job.workers])


def test_an_item_s_number_is_its_line(tmp_path: Path) -> None:
    assert read_items(write(tmp_path, "\ufeffplum\r\n  green apple \n\npear\n")) == {"plum": 1, "green apple": 2, "pear": 4}


def test_without_a_list_the_commonest_comes_first_and_equals_by_name() -> None:
    assert count_items(["pear", "apple", "plum", "fig"], np.array([2, 1, 2, 0])) == {"pear": 1, "plum": 2, "apple": 3}


def test_another_order_is_another_list() -> None:
    assert digest_items({"a": 1, "b": 2}) != digest_items({"b": 1, "a": 2})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\nb\na\n", "has the item 'a' at line 1 and again at line 3; keep one of them."),
        ("\n", "names no item; it holds one a line."),
    ],
)
def test_a_list_that_numbers_nothing_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_items(write(tmp_path, text))


def test_sessions_are_numbered_by_the_list_and_what_it_lacks_is_left_out(tmp_path: Path) -> None:
    path, listed = write(tmp_path, NORTH, "log.txt"), write(tmp_path, "fig\npear\napple\n")
    data = sessions(path, layout="lines", test_share=0.0, items_path=listed)
    assert (data.train.x.tolist(), data.train.y.tolist()) == ([[3], [3], [2]], [[2], [3], [3]])
    with pytest.raises(InputError, match=r"log.txt' has no session of two items that '.*items.txt' lists; name them there as the sessions do"):
        sessions(path, layout="lines", test_share=0.0, items_path=write(tmp_path, "fig\n"))


def test_the_test_half_keeps_what_only_other_organisations_train_on(tmp_path: Path) -> None:
    path = write(tmp_path, "apple pear\nplum apple\n", "log.txt")
    test = sessions(path, layout="lines", test_share=0.5, items_path=write(tmp_path, "apple\npear\nplum\n")).test
    assert test is not None
    assert test.x.tolist() == [[3]]
    with pytest.raises(InputError, match="has two items of the training half"):
        sessions(path, layout="lines", test_share=0.5)


def test_shops_that_number_items_each_by_its_own_sessions_do_not_match(tmp_path: Path) -> None:
    assert mismatches(tmp_path, JOB) == [
        "The worker 'south' numbers its items by another list than 'north'; give all workers the same file as data.items_path."
    ]


def test_shops_that_share_a_list_match_though_their_sessions_have_other_lengths_and_items(tmp_path: Path) -> None:
    write(tmp_path, "apple\npear\nplum\n")
    assert mismatches(tmp_path, JOB.replace("layout: lines", "layout: lines, items_path: items.txt")) == []
