import json
from pathlib import Path

import pytest

from fl_core import run
from fl_core.pool import Pool
from pipelines.cli import main
from tests.fl_core.datasets.leaf_files import content, write
from tests.fl_core.datasets.nist_files import draw, write_tree
from tests.fl_core.datasets.tweet_files import write_table
from tests.jobs import DIGITS, tiny_job


def test_a_synthetic_set_is_made_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leaf", "synthetic", "--users", "20", "--seed", "7", "--features", "3", "--out", str(tmp_path / "set"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert main(["data", "leaf", "stats", str(tmp_path / "set"), "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert made == {"file": str(tmp_path / "set" / "all_data" / "all_data.json"), **counted}
    assert counted["users"] == 20
    assert counted["samples"] == pytest.approx(20 * counted["mean"])


@pytest.mark.parametrize("words", [["--users", "0"], ["--classes", "1"], ["--features", "0"], ["--seed", "-1"]])
def test_a_synthetic_set_that_cannot_be_is_one_sentence(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leaf", "synthetic", *words, "--out", str(tmp_path / "set")]) == 2
    assert capsys.readouterr().err.startswith(f"{words[0]} is {words[1]}; it is a number from")
    assert not (tmp_path / "set").exists()


def test_a_set_is_not_made_over_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "all_data" / "all_data.json")
    before = path.read_bytes()
    assert main(["data", "leaf", "synthetic", "--users", "2", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_statistics_of_nothing_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leaf", "stats", str(tmp_path)]) == 2
    assert "has no LEAF file with users" in capsys.readouterr().err


def test_a_set_is_sampled_split_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    users = {f"u{n}": {"x": [[n]] * n, "y": [0] * n} for n in range(1, 9)}
    write(tmp_path / "all_data" / "all_data.json", content(users))
    assert main(["data", "leaf", "sample", str(tmp_path), "-s", "niid", "--sf", "1.0", "-k", "3", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [Path(file).name for file in files] == ["all_data_niid_0.json", "all_data_niid_0_keep_3.json"]
    assert main(["data", "leaf", "split", str(tmp_path), "-t", "user", "--tf", "0.8", "--spltseed", "1"]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / half / f"all_data_0_niid_0_keep_3_{half}_8.json") for half in ("train", "test")
    ]  # fmt: skip
    (tmp_path / "all_data").rename(tmp_path / "aside")
    assert main(["data", "leaf", "stats", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 4 + 5 + 6 + 7 + 8


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sample"], "Neither -s nor -k is given"),
        (["sample", "-s", "iid", "--sf", "1.5"], "--sf is 1.5"),
        (["sample", "-k", "-1"], "-k is -1"),
        (["split", "--tf", "nan"], "--tf is nan"),
        (["split", "--gap", "-1"], "--gap is -1"),
        (["split"], "has no LEAF files"),
    ],
)
def test_a_preparation_that_cannot_be_is_one_sentence(tmp_path: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leaf", words[0], str(tmp_path), *words[1:]]) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_plays_become_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "play.txt").write_text("ACT I\nWitch\tWhen\n\tshall\n")
    assert main(["data", "leaf", "shakespeare", "--plays", str(tmp_path / "play.txt"), "--out", str(tmp_path / "set"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 11


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(DIGITS)
    return path


def card_of(job_file: Path, worker: str) -> Path:
    path = job_file.parent / f"{worker}.json"
    assert main(["data", "card", str(job_file), "--worker", worker, "-o", str(path)]) == 0
    return path


def test_the_cards_of_one_data_set_match(job_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cards = [str(card_of(job_file, worker)) for worker in ("worker-0", "worker-1")]
    capsys.readouterr()
    assert main(["data", "check", str(job_file), *cards]) == 0
    assert capsys.readouterr().out == "The 2 cards match.\n"


def test_a_mismatch_is_one_sentence_and_exit_2(job_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cards = [card_of(job_file, worker) for worker in ("worker-0", "worker-1")]
    card = json.loads(cards[1].read_text())
    cards[1].write_text(json.dumps({**card, "x": {"dtype": "float32", "shape": [63]}}))
    capsys.readouterr()
    words = ["data", "check", str(job_file), *map(str, cards)]
    assert main(words) == 2
    sentence = "The worker 'worker-1' has (63,) as x's shape, but 'worker-0' has (64,); make them equal."
    assert capsys.readouterr() == ("", f"{sentence}\n")
    assert main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["mismatches"] == [sentence]


HOSPITALS = """
format: 1
name: hospitals
program: {name: logistic, features: 2, classes: 3}
optimizer: {name: SGD, learning_rate: 0.1}
data: digits
federation:
  workers:
    - {name: north, data: {name: csv, path: north.csv, label: dx, test_share: 0.5}}
    - {name: south, data: {name: csv, path: south.csv, label: dx, test_share: 0.5}}
rounds: 1
"""
NORTH = "age,pressure,dx\n" + "40,90,benign\n50,80,malignant\n" * 4
SWAPPED = "pressure,age,dx\n" + "90,40,malignant\n80,50,normal\n" * 4


def hospitals(folder: Path, south: str, *, job: str = HOSPITALS) -> Path:
    folder.mkdir()
    for name, text in {"job.yaml": job, "north.csv": NORTH, "south.csv": south}.items():
        (folder / name).write_text(text)
    return folder / "job.yaml"


def test_swapped_columns_and_other_classes_do_not_match_and_are_not_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swapped = hospitals(tmp_path / "a", SWAPPED)
    assert main(["data", "check", str(swapped), *(str(card_of(swapped, worker)) for worker in ("north", "south"))]) == 2
    features = (
        "Feature 1 of the worker 'south' is 'pressure', but that of 'north' is 'age'; name the columns alike, and list them in one order as data.features.\n"
    )
    classes = (
        "Label 0 of the worker 'south' is 'malignant', but that of 'north' is 'benign'; give all workers the same data.classes: [benign, malignant, normal].\n"
    )
    assert capsys.readouterr().err == features + classes
    assert main(["run", str(swapped), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.endswith(features)
    assert not (tmp_path / "run").exists()


def test_the_options_that_the_sentences_name_make_it_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = HOSPITALS.replace("label: dx", "label: dx, features: [age, pressure], classes: [benign, malignant, normal]")
    job_file = hospitals(tmp_path / "a", SWAPPED, job=named)
    cards = [str(card_of(job_file, worker)) for worker in ("north", "south")]
    capsys.readouterr()
    assert main(["data", "check", str(job_file), *cards]) == 0
    assert capsys.readouterr().out == "The 2 cards match.\n"
    old = {key: value for key, value in json.loads(Path(cards[0]).read_text()).items() if key not in ("features", "classes")}
    Path(cards[0]).write_text(json.dumps(old))
    assert main(["data", "check", str(job_file), *cards, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["not_compared"] == [
        "The card of the worker 'north' names no features, so that nobody compared them.",
        "The card of the worker 'north' names no classes, so that nobody compared them.",
    ]


def test_a_card_is_not_written_over_another(job_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = card_of(job_file, "worker-0")
    before = path.read_bytes()
    assert main(["data", "card", str(job_file), "--worker", "worker-1", "-o", str(path)]) == 2
    assert path.read_bytes() == before
    assert capsys.readouterr().err == f"'{path}' exists already; name another file.\n"


def test_cards_are_made_and_compared_of_the_job_as_it_is_overridden(job_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card, change = job_file.parent / "card.json", ["--set", "federation.workers=1", "--set", "data.partition.clients=3"]
    assert main(["data", "card", str(job_file), "--worker", "worker-0", "-o", str(card), *change]) == 0
    assert len(json.loads(card.read_text())["sizes"]) == 3
    assert main(["data", "check", str(job_file), str(card)]) == 2
    assert main(["data", "check", str(job_file), str(card), *change]) == 0
    assert capsys.readouterr().out.endswith("The 1 cards match.\n")


def test_a_page_shows_who_holds_what(job_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = job_file.parent / "deal.html"
    assert main(["data", "show", str(job_file), "--set", "data.partition.clients=3", "-o", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"page": str(page), "clients": 3, "shown": 3, "examples": 1438}
    assert "who holds what" in page.read_text()
    assert main(["data", "show", str(job_file), "-o", str(page)]) == 2
    assert capsys.readouterr().err == f"'{page}' exists already; name another file.\n"


def test_a_run_s_metrics_are_written_and_printed(tmp_path: Path, pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    run(tiny_job("rounds=1", "data.held_out=0.2", "evaluate={on: held_out}"), out=tmp_path / "run", pool=pool)
    assert main(["data", "leaf", "metrics", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["train loss", "test accuracy", "test loss"]
    assert all(part in lines[1] for part in (", 10th ", ", 50th ", ", 90th "))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"metrics_stat.csv", "metrics_sys.csv"}


def test_a_nist_tree_becomes_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(tmp_path / "nist", [("f0000_14", "4a", draw(0)), ("f0000_14", "30", draw(1))])
    assert main(["data", "leaf", "femnist", "--from", str(tmp_path / "nist"), "--out", str(tmp_path / "set")]) == 0
    assert capsys.readouterr().out == f"1 writers with 2 samples were written to {tmp_path / 'set'}.\n"


def test_tables_of_tweets_become_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = [str(write_table(tmp_path / f"{name}.csv", people=2, tweets_each=3)) for name in ("training", "test")]
    assert main(["data", "leaf", "sent140", "--from", *tables, "--out", str(tmp_path / "set"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 12
