import json
import random
from pathlib import Path
from typing import Any

import pytest

from fl_core.datasets.leaf import leaf
from fl_core.errors import InputError
from fl_core.leaf.preparation import keep_users, sample_files, split_by_sample, split_by_user
from tests.fl_core.datasets.leaf_files import content, write

# Six users with 1 to 6 samples, each sample with a number of its own.
USERS = {f"u{n}": {"x": [[n, i] for i in range(n)], "y": [n * 10 + i for i in range(n)]} for n in range(1, 7)}
GROUPS = ["a", "b", "c", "d", "e", "f"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "all_data" / "all_data.json", content(USERS, hierarchies=GROUPS))
    return tmp_path


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def labels(path: Path) -> dict[str, list[int]]:
    return {user: data["y"] for user, data in read(path)["user_data"].items()}


def test_niid_takes_whole_users_in_a_drawn_order_and_cuts_the_last(folder: Path) -> None:
    [path] = sample_files(folder, "niid", 0.5, 0.01, seed=4)
    order = sorted(USERS)
    random.Random(4).shuffle(order)
    whole = read(path)
    assert path.name == "all_data_niid_5.json"
    assert whole["users"] == order[: len(whole["users"])]
    assert whole["hierarchies"] == [GROUPS[int(user[1]) - 1] for user in whole["users"]]
    assert sum(whole["num_samples"]) == 10
    *full, last = whole["users"]
    assert all(whole["user_data"][user] == USERS[user] for user in full)
    assert sorted(labels(path)[last]) == USERS[last]["y"][: whole["num_samples"][-1]]


def test_iid_deals_drawn_samples_evenly_to_new_users(folder: Path) -> None:
    [path] = sample_files(folder, "iid", 0.5, 0.5, seed=4)
    dealt = labels(path)
    assert path.name == "all_data_iid_5_5.json"
    assert {user: len(y) for user, y in dealt.items()} == {"0": 3, "1": 3, "2": 4}
    everything = [label for data in USERS.values() for label in data["y"]]
    assert [label for y in dealt.values() for label in y] == [everything[row] for row in random.Random(4).sample(range(21), 10)]
    assert "hierarchies" not in read(path)


def test_users_are_kept_with_more_samples_than_k(folder: Path) -> None:
    sample_files(folder, "niid", 1.0, 0.01, seed=0)
    [path] = keep_users(folder, 4)
    assert path == folder / "rem_user_data" / "all_data_niid_0_keep_4.json"
    assert set(read(path)["users"]) == {"u5", "u6"}


def test_a_split_by_sample_gives_each_user_both_halves_by_the_rule(folder: Path) -> None:
    train, test = split_by_sample(folder, 0.6, seed=9)
    assert (train.name, test.name) == ("all_data_train_6.json", "all_data_test_6.json")
    assert read(train)["users"] == read(test)["users"] == ["u2", "u3", "u4", "u5", "u6"]
    assert read(train)["num_samples"] == [1, 1, 2, 3, 3]
    for user, y in labels(train).items():
        assert sorted(y + labels(test)[user]) == USERS[user]["y"]
    draw = random.Random(9)
    assert labels(train)["u2"] == [20 + draw.sample(range(2), 1)[0]]
    assert labels(train)["u3"] == [30 + draw.sample(range(3), 1)[0]]
    assert read(train)["hierarchies"] == GROUPS[1:]


def test_a_gap_keeps_order_and_leaves_out_what_lies_between(folder: Path) -> None:
    train, test = split_by_sample(folder, 0.5, seed=0, gap=2)
    assert labels(train) == {"u5": [50, 51], "u6": [60, 61, 62]}
    assert labels(test) == {"u5": [54], "u6": [65]}


def test_a_split_by_user_puts_each_user_into_one_half(folder: Path) -> None:
    written = split_by_user(folder, 0.5, seed=3, users_a_file=2)
    assert [path.name for path in written] == ["all_data_0_train_5.json", "all_data_1_train_5.json", "all_data_0_test_5.json", "all_data_1_test_5.json"]
    trained = {user for path in written[:2] for user in read(path)["users"]}
    assert trained == {f"u{number + 1}" for number in random.Random(3).sample(range(6), 3)}
    assert {user for path in written[2:] for user in read(path)["users"]} == set(USERS) - trained


def test_the_whole_chain_names_its_files_like_leaf_and_is_read(tmp_path: Path) -> None:
    write(tmp_path / "all_data" / "all_data_0.json", content(USERS))
    sample_files(tmp_path, "niid", 1.0, 0.01, seed=1)
    keep_users(tmp_path, 2)
    names = [path.relative_to(tmp_path).as_posix() for path in split_by_sample(tmp_path, 0.8, seed=2)]
    assert names == ["train/all_data_0_niid_0_keep_2_train_8.json", "test/all_data_0_niid_0_keep_2_test_8.json"]
    data = leaf(tmp_path, set="synthetic")
    test = data.test()
    assert test is not None
    assert (list(data.clients), list(data.sizes), len(test)) == (["u3", "u4", "u5", "u6"], [2, 3, 4, 4], 5)


def test_a_seed_prepares_the_same_files_again(tmp_path: Path) -> None:
    texts = []
    for name in "ab":
        write(tmp_path / name / "all_data" / "all_data.json", content(USERS))
        sample_files(tmp_path / name, "iid", 0.9, 0.5, seed=5)
        texts.append([path.read_text() for path in split_by_sample(tmp_path / name, 0.7, seed=6)])
    assert texts[0] == texts[1]


def test_what_was_prepared_is_not_overwritten(folder: Path) -> None:
    split_by_sample(folder, 0.5, seed=0)
    with pytest.raises(InputError, match="exists already; delete it"):
        split_by_sample(folder, 0.5, seed=1)


def test_a_damaged_second_file_leaves_nothing_written(folder: Path) -> None:
    (folder / "all_data" / "all_data_1.json").write_text("{")
    with pytest.raises(InputError, match=r"all_data_1\.json"):
        sample_files(folder, "niid", 0.5, 0.01, seed=0)
    assert not (folder / "sampled_data").exists()


def test_a_folder_without_data_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no LEAF files in rem_user_data or sampled_data or all_data"):
        split_by_user(tmp_path, 0.5, seed=0)
