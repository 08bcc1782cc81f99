"""LEAF's two tasks of language: Sent140 from its tables, and the reference settings of both as jobs."""

from pathlib import Path

import pytest

from fl_core import load_job, run
from fl_core.datasets.leaf import leaf
from fl_core.errors import InputError
from fl_core.leaf.files import index_file, read_user
from fl_core.leaf.preparation import split_by_sample
from fl_core.leaf.sent140 import write_tweets
from fl_core.leaf.shakespeare import write_plays
from fl_core.pool import Pool
from tests.fl_core.datasets.tweet_files import write_table

EXAMPLES = Path(__file__).parents[3] / "examples" / "leaf"
LINE = '"{polarity}","7","Mon","NO_QUERY","{user}","{text}"\n'


def table(path: Path, *lines: tuple[str, str, str]) -> Path:
    text = "".join(LINE.format(polarity=polarity, user=user, text=text) for polarity, user, text in lines)
    path.write_bytes(text.encode("latin-1"))
    return path


def test_people_are_users_and_polarity_4_is_happy(tmp_path: Path) -> None:
    training = table(tmp_path / "training.csv", ("0", "zoe", "no"), ("4", "ann", "one, two"), ("4", "zoe", "Zo\xeb"))
    test = table(tmp_path / "test.csv", ("2", "zoe", "so so"))
    assert write_tweets([training, test], tmp_path / "set") == [1, 3]
    ann, zoe = index_file(tmp_path / "set" / "all_data" / "all_data.json")
    assert read_user(ann) == {"x": [["7", "Mon", "NO_QUERY", "ann", "one, two", "training"]], "y": [1]}
    assert (read_user(zoe)["y"], [row[4:] for row in read_user(zoe)["x"]]) == ([0, 1, 0], [["no", "training"], ["Zo\xeb", "training"], ["so so", "test"]])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no tweets"),
        ("target,ids,date,flag,user,text\n", "holds 6 cells at line 1, beginning with 'target'; a line of Sentiment140 holds"),
        ('"4","1","Mon"\n', "holds 3 cells at line 1, beginning with '4'"),
        (LINE.format(polarity="4", user="", text="hello"), "holds 6 cells at line 1"),
    ],
)
def test_what_is_no_table_of_tweets_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "tweets.csv").write_text(content)
    with pytest.raises(InputError, match=sentence):
        write_tweets([tmp_path / "tweets.csv"], tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_reference_settings_are_those_of_leaf() -> None:
    shakespeare, sent140 = load_job(EXAMPLES / "shakespeare_c10_e1.yaml"), load_job(EXAMPLES / "sent140_c2.yaml")
    settings = [(job.rounds, job.selection.options["clients_per_round"], job.optimizer.options["learning_rate"]) for job in (shakespeare, sent140)]
    assert settings == [(80, 10, 0.8), (10, 2, 0.0003)]
    assert all(job.strategy.options == {"local_epochs": 1, "batch_size": 10} for job in (shakespeare, sent140))


@pytest.mark.parametrize("program", ["{name: lstm, vocabulary: 41, classes: 2, embedding: 4, hidden: 6, dense: 3}", "{name: bag_of_words, vocabulary: 40}"])
def test_the_example_of_tweets_trains_on_a_set_made_from_a_table(tmp_path: Path, pool: Pool, program: str) -> None:
    write_tweets([write_table(tmp_path / "tweets.csv", people=4, tweets_each=5)], tmp_path / "set")
    split_by_sample(tmp_path / "set", 0.8, seed=0)
    assert list(leaf(tmp_path / "set", set="sent140").sizes) == [4, 4, 4, 4]
    job = load_job(EXAMPLES / "sent140_c2.yaml", [f"data.path={tmp_path / 'set'}", "rounds=1", "data.vocabulary=40", f"program={program}"])
    summary = run(job, out=tmp_path / "run", pool=pool).summary
    assert (summary["examples"], summary["failures"]) == (8, [])


def test_the_example_of_plays_trains_on_a_set_made_from_a_play(tmp_path: Path, pool: Pool) -> None:
    lines = "".join(f"{role}\tWhen shall we\n\tthree meet again?\n" for role in ("ANN", "BOB"))
    (tmp_path / "play.txt").write_text(f"ACT I\n{lines}")
    write_plays(tmp_path / "play.txt", tmp_path / "set")
    split_by_sample(tmp_path / "set", 0.8, seed=0)
    small = [f"data.path={tmp_path / 'set'}", "rounds=1", "program.hidden=4", "selection.clients_per_round=1"]
    summary = run(load_job(EXAMPLES / "shakespeare_c10_e1.yaml", small), out=tmp_path / "run", pool=pool).summary
    assert (summary["examples"], summary["failures"]) == (int(0.8 * (14 + 18)), [])
