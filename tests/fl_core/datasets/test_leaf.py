import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fl_core.data import open_data
from fl_core.datasets.leaf import leaf
from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.leaf import files
from fl_core.leaf.files import index_file, read_user, write_file
from fl_core.leaf.letters import LETTERS
from fl_core.leaf.stats import count_samples, user_sizes
from fl_core.leaf.synthetic import draw_sizes, make_users
from tests.fl_core.datasets.leaf_files import TWO, content, write

SHARED = Path(__file__).parents[4] / "shared" / "data"
FOREIGN = SHARED / "leaf_synthetic_fedprox" / "synthetic_1_1_test.json.gz"


def halves(folder: Path, train: dict[str, Any], test: dict[str, Any] | None = None) -> Path:
    write(folder / "train" / "all_data_0_niid_1_keep_0_train_9.json", content(train))
    if test is not None:
        write(folder / "test" / "all_data_0_niid_1_keep_0_test_9.json", content(test))
    return folder


def test_the_seed_of_leaf_gives_the_sizes_of_leaf() -> None:
    found = count_samples(draw_sizes(1000, np.random.RandomState(931231)))
    assert (found["users"], found["samples"], round(found["std"], 2)) == (1000, 107_553, 213.22)


def test_the_samples_are_those_of_leaf_s_generator() -> None:
    users = make_users(5)
    assert [len(data["y"]) for data in users.values()] == [86, 33, 52, 6, 11]
    assert users["0"]["x"][0][:2] == pytest.approx([-1.6807978879224568, 2.346998585998564])
    assert users["4"]["x"][-1][-1] == pytest.approx(-1.2773485120973598)
    assert users["2"]["y"][:12] == [2, 3, 2, 0, 2, 2, 2, 2, 0, 2, 0, 2]


def test_synthetic_users_have_models_of_their_own_and_a_seed_gives_the_same_ones() -> None:
    users = make_users(4, seed=3, classes=3, features=2)
    assert users == make_users(4, seed=3, classes=3, features=2)
    assert users != make_users(4, seed=4, classes=3, features=2)
    assert [len(data["x"]) for data in users.values()] == [len(data["y"]) for data in users.values()] == draw_sizes(4, np.random.RandomState(3))
    assert {len(row) for data in users.values() for row in data["x"]} == {2}
    assert {label for data in users.values() for label in data["y"]} <= {0, 1, 2}


def test_statistics_are_those_of_the_whole_and_of_one_size_have_no_skewness() -> None:
    assert count_samples([1, 1, 4]) == pytest.approx({"users": 3, "samples": 6, "mean": 2.0, "std": 2**0.5, "skewness": 0.5**0.5})
    assert count_samples([2, 2])["skewness"] == 0.0


def test_statistics_count_a_user_s_train_and_test_halves_as_one(tmp_path: Path) -> None:
    halves(tmp_path, TWO, {"ann": {"x": [[0.0, 0.0]], "y": [0]}})
    assert user_sizes(tmp_path) == [4, 2]


def test_every_user_is_a_client_and_the_test_halves_are_the_test_set(tmp_path: Path) -> None:
    halves(tmp_path, {"bob": TWO["bob"], "ann": TWO["ann"]}, {"bob": TWO["ann"], "ann": TWO["bob"]})
    data = leaf(tmp_path, set="synthetic")
    assert (list(data.clients), list(data.sizes)) == (["ann", "bob"], [3, 2])
    assert data.open("bob").x.tolist() == TWO["bob"]["x"]
    assert (data.open("ann").x.dtype, data.open("ann").y.dtype) == (np.float32, np.int64)
    test = data.test()
    assert test is not None
    assert test.y.tolist() == [1, 1, 0, 1, 0]


def test_files_side_by_side_are_told_apart_by_their_names(tmp_path: Path) -> None:
    write(tmp_path / "all_data_niid_1_keep_0_train_9.json")
    write(tmp_path / "all_data_niid_1_keep_0_test_9.json", content({"ann": TWO["bob"]}))
    data = leaf(tmp_path, set="synthetic")
    test = data.test()
    assert test is not None
    assert (list(data.sizes), len(test)) == ([3, 2], 2)


def test_fewer_clients_bring_their_own_test_halves_only(tmp_path: Path) -> None:
    data = leaf(halves(tmp_path, TWO, TWO), set="synthetic", max_clients=1)
    test = data.test()
    assert test is not None
    assert (list(data.clients), len(test)) == (["ann"], 3)


def test_only_the_part_of_the_client_that_is_opened_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "all_data.json")
    data = leaf(tmp_path, set="synthetic")
    seen: list[str] = []
    part = files._part
    monkeypatch.setattr(files, "_part", lambda place: (seen.append(place.user), part(place))[1])
    data.open("bob")
    assert seen == ["bob"]
    place = index_file(path)[1]
    assert json.loads(path.read_bytes()[place.start : place.stop]) == TWO["bob"]


def test_a_job_names_a_leaf_set(tmp_path: Path) -> None:
    text = "{format: 1, name: small, program: fl_core.programs.logistic:program, rounds: 1, data: {name: leaf, set: synthetic, path: data}}"
    write(tmp_path / "data" / "all_data" / "all_data.json")
    job = parse_job(text, folder=tmp_path)
    data = open_data(job, job.data)
    assert (list(data.clients), data.test()) == (["ann", "bob"], None)


def test_a_foreign_file_with_labels_as_floats_is_read_packed() -> None:
    if not FOREIGN.exists():
        pytest.skip(f"{FOREIGN} is not there")
    data = leaf(FOREIGN, set="synthetic")
    assert (len(data.clients), sum(data.sizes)) == (30, 1084)
    opened = data.open("f_00000")
    assert (opened.x.shape, opened.y.dtype) == ((data.sizes[0], 60), np.int64)
    assert sum(len(data.open(client)) for client in data.clients) == 1084


@pytest.mark.parametrize("name", ["Zoë", "\u5c0f", 'a"b\\c'])
@pytest.mark.parametrize("ascii", [True, False])
def test_names_in_any_script_are_kept(tmp_path: Path, name: str, ascii: bool) -> None:
    (tmp_path / "all_data.json").write_text(json.dumps(content({name: TWO["ann"], "bob": TWO["bob"]}), ensure_ascii=ascii), encoding="utf-8")
    data = leaf(tmp_path, set="synthetic")
    assert set(data.clients) == {name, "bob"}
    assert data.open(name).x.tolist() == TWO["ann"]["x"]
    assert data.open("bob").y.tolist() == [1, 1]


def test_a_written_file_is_read_as_it_was_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new" / "all_data.json"
    write_file(path, TWO, hierarchies=["Hamlet", "Macbeth"])
    assert {place.user: (place.hierarchy, read_user(place)) for place in index_file(path)} == {"ann": ("Hamlet", TWO["ann"]), "bob": ("Macbeth", TWO["bob"])}
    with pytest.raises(InputError, match="exists already"):
        write_file(path, TWO)


DAMAGED = [
    (lambda text: text[: text.index("9.0")], "is not whole JSON (.*), in the data of user 'bob'; copy it again"),
    (lambda text: text[:-1], "is not whole JSON (it ends at byte"),
    (lambda text: text + "}", "is not whole JSON (more follows"),
    (lambda text: "[]", "is not whole JSON"),
    (lambda text: "", "is not whole JSON"),
    (lambda text: text.replace('"bob": {', '"bib": {'), "names the user 'bob', but its user_data do not have it"),
    (lambda text: text.replace('"num_samples": [3, 2]', '"num_samples": [3, 5]'), "has num_samples 5 for the user 'bob', but 2 samples"),
    (lambda text: text.replace('"num_samples": [3, 2]', '"num_samples": [3]'), "names 2 users and 1 num_samples"),
    (lambda text: text.replace('"y": [1, 1]', '"y": [1]'), "has 2 of x and 1 of y for the user 'bob'"),
    (lambda text: text.replace("[1, 1]", "[1, NaN]"), "holds NaN for the user 'bob'"),
    (lambda text: text.replace("9.0", "Infinity"), "holds Infinity for the user 'bob'"),
    (lambda text: text.replace('"users"', '"people"'), "has no 'users'"),
    (lambda text: text.replace('"y": [1, 1]', '"z": [1, 1]'), "has no lists x and y for the user 'bob'"),
    (lambda text: text.replace("[9.0, 0.5]", "[9.0]"), "has samples of 1 and of 2 features for the user 'bob'; give all samples as many."),
    (
        lambda text: text.replace("8.0", "8.0, 8.0").replace("0.5", "0.5, 0.5"),
        "has samples of 3 features for the user 'bob', but the user 'ann' has 2; give all",
    ),
    (lambda text: text.replace('"users"', '"hierarchies": {"a": 1}, "users"'), "has hierarchies that are no list, but {'a': 1}; give one for each user"),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGED)
def test_a_damaged_file_is_refused_by_file_and_user(tmp_path: Path, damage: Any, sentence: str) -> None:
    path = write(tmp_path / "all_data.json")
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError) as refused:
        leaf(tmp_path, set="synthetic")
    text = str(refused.value)
    assert str(path) in text
    assert all(part in text for part in sentence.split("(.*)"))
    assert "\n" not in text


@pytest.mark.parametrize(
    ("set", "part"),
    [
        ("synthetic", {"x": [[1.0], [1e300]], "y": [0, 1]}),
        ("synthetic", {"x": [[1.0]], "y": [0.5]}),
        ("synthetic", {"x": [[1.0]], "y": [-1]}),
        ("synthetic", {"x": [[1.0]], "y": [1e20]}),
        ("synthetic", {"x": [[None]], "y": [1]}),
        ("femnist", {"x": [[1.0] * 783], "y": [0]}),
        ("shakespeare", {"x": ["short"], "y": ["a"]}),
        ("shakespeare", {"x": ["a" * 80], "y": ["ab"]}),
        ("reddit", {"x": [[["a", "b"]]], "y": [["a", "b"]]}),
        ("sent140", {"x": [["id", "date"]], "y": [0]}),
    ],
)
def test_samples_of_another_set_are_refused_by_file_and_user(tmp_path: Path, set: Any, part: dict[str, Any]) -> None:
    path = write(tmp_path / "all_data.json", content({"ann": part}))
    with pytest.raises(InputError, match="of the user 'ann' that are not of the set") as refused:
        leaf(tmp_path, set=set).open("ann")
    assert str(path) in str(refused.value)


def test_hierarchies_that_are_null_are_none(tmp_path: Path) -> None:
    path = write(tmp_path / "all_data.json", content(hierarchies=None))
    assert user_sizes(path) == [3, 2]
    assert index_file(path)[0].hierarchy is None


def test_the_test_half_has_the_features_of_the_training_half(tmp_path: Path) -> None:
    halves(tmp_path, TWO, {"ann": {"x": [[1.0]], "y": [0]}})
    with pytest.raises(InputError, match=r"_test_9.json' has samples of 1 features for the user 'ann', but the user 'ann' has 2; give all users as many."):
        leaf(tmp_path, set="synthetic")


def test_a_user_without_samples_is_counted_and_not_tested_but_cannot_be_trained(tmp_path: Path) -> None:
    nobody = {"eve": {"x": [], "y": []}}
    halves(tmp_path, TWO, TWO | nobody)
    test = leaf(tmp_path, set="synthetic").test()
    assert test is not None
    assert len(test) == 5
    path = write(tmp_path / "more" / "all_data.json", content(TWO | nobody))
    assert user_sizes(path) == [3, 2, 0]
    with pytest.raises(InputError, match=r"all_data.json' has no samples of the user 'eve'; take out users without samples: `fl data leaf sample DIR -k 0`."):
        leaf(path, set="synthetic")


def test_a_user_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "all_data_0.json")
    write(tmp_path / "all_data_1.json")
    with pytest.raises(InputError, match=r"The user 'ann' is in '.*all_data_0.json' and again in '.*all_data_1.json'"):
        leaf(tmp_path, set="synthetic")


@pytest.mark.parametrize("lies", ["missing", "empty", "test only"])
def test_a_folder_without_a_training_half_is_refused(tmp_path: Path, lies: str) -> None:
    if lies == "test only":
        write(tmp_path / "all_data_test_9.json")
    with pytest.raises(InputError, match=r"is a folder of \.json files|are not there"):
        leaf(tmp_path / "none" if lies == "missing" else tmp_path, set="synthetic")


def test_femnist_is_784_pixels_and_a_class(tmp_path: Path) -> None:
    write(tmp_path / "all_data.json", content({"w": {"x": [[0.5] * 784, [1.0] * 784], "y": [61, 3]}}))
    opened = leaf(tmp_path, set="femnist").open("w")
    assert (opened.x.shape, opened.x.dtype, opened.y.tolist()) == ((2, 784), np.float32, [61, 3])


def test_shakespeare_is_80_of_80_letters_and_the_next(tmp_path: Path) -> None:
    write(tmp_path / "all_data.json", content({"HAMLET": {"x": ["\u00e9" + "a" * 79], "y": ["}"]}}))
    opened = leaf(tmp_path, set="shakespeare").open("HAMLET")
    assert len(LETTERS) == 80
    assert opened.x.tolist() == [[LETTERS.index(" "), *[LETTERS.index("a")] * 79]]
    assert opened.y.tolist() == [79]


def test_tweets_are_25_words_numbered_by_how_common_they_are(tmp_path: Path) -> None:
    row = ["1", "Mon", "NO_QUERY", "ann", "good good! bad"]
    write(tmp_path / "all_data.json", content({"ann": {"x": [row], "y": [1]}}))
    assert leaf(tmp_path, set="sent140", vocabulary=8).open("ann").x.tolist() == [[0, 0, 1, 2, *[8] * 21]]
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "embs.json").write_text('{"vocab": ["bad", "good"], "emba": []}')
    opened = leaf(tmp_path, set="sent140", vocabulary_path=tmp_path / "words" / "embs.json").open("ann")
    assert opened.x.tolist() == [[1, 1, 2, 0, *[2] * 21]]
    assert opened.y.tolist() == [1]


def test_a_reddit_comment_is_as_many_examples_as_it_has_sequences(tmp_path: Path) -> None:
    one = [["<BOS>", "a", "a"], ["a", "b", "<PAD>"]]
    after = [["a", "a", "a"], ["b", "<EOS>", "<PAD>"]]
    write(tmp_path / "all_data.json", content({"ann": {"x": [one], "y": [{"target_tokens": after, "count_tokens": [[1, 1, 1], [1, 1, 0]]}]}}))
    data = leaf(tmp_path, set="reddit")
    assert list(data.sizes) == [2]
    assert data.open("ann").x.tolist() == [[3, 2, 2], [2, 4, 0]]
    assert data.open("ann").y.tolist() == [[2, 2, 2], [4, 1, 0]]


def test_celeba_opens_the_images_that_its_file_names(tmp_path: Path) -> None:
    images = tmp_path / "raw" / "img_align_celeba"
    images.mkdir(parents=True)
    Image.new("RGB", (178, 218), (255, 0, 51)).save(images / "000001.png")
    write(tmp_path / "all_data.json", content({"7": {"x": ["000001.png"], "y": [1.0]}, "8": {"x": ["gone.png"], "y": [0.0]}}))
    data = leaf(tmp_path, set="celeba")
    opened = data.open("7")
    assert opened.x.shape == (1, 3, 84, 84)
    assert opened.x[0, :, 0, 0].tolist() == pytest.approx([1.0, 0.0, 0.2])
    with pytest.raises(InputError, match=r"gone.png' cannot be read .*data.images_path"):
        data.open("8")


@pytest.mark.parametrize("text", ["{", "[]", '{"words": ["a"]}', "[1]"])
def test_a_vocabulary_without_words_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / "data" / "all_data.json", content({"ann": {"x": ["hello"], "y": [1]}}))
    (tmp_path / "words.json").write_text(text)
    with pytest.raises(InputError, match=r"The vocabulary '.*words.json'"):
        leaf(tmp_path / "data", set="sent140", vocabulary_path=tmp_path / "words.json")
