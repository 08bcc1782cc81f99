"""Criteo's format, and generated advertisements whose best possible prediction is known."""

import doctest
import gzip
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl_core.datasets import _clicks
from fl_core.datasets._clicks import HASHES, hash_word
from fl_core.datasets.criteo import criteo
from fl_core.datasets.generated_clicks import best_scores, draw_clicks, generated_clicks, make_world
from fl_core.errors import InputError
from fl_core.partitions.by_column import by_column


def line(label: str = "0", counts: str = "", words: str = "") -> str:
    """A line whose first cells of each kind are given, separated by spaces, '-' for a missing one; the others are 0 and 05db9164."""
    cells = [[label], counts.split() or ["0"], words.split() or ["05db9164"]]
    filled = [part + [part[-1]] * (count - len(part)) for part, count in zip(cells, (1, 13, 26), strict=True)]
    return "\t".join("" if cell == "-" else cell for part in filled for cell in part) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text(line("1", "0 -2 - 7", "68fd1e64 - 68fd1e64") + line("0", "1 1 1 1", "68fd1e64 - 80e26c9b") + line("0"))
    return tmp_path / "train.txt"


def test_counts_are_logarithms_and_words_hashes_of_their_own_field(path: Path) -> None:
    data = criteo(path, test_share=0)
    assert (data.train.x.shape, data.train.x.dtype, data.train.y.tolist()) == ((3, 39), np.float32, [1, 0, 0])
    assert data.train.x[0, :4] == pytest.approx([0, 0, -1, np.log(8)])
    assert data.train.x[0, 13:16].tolist() == [hash_word(0, "68fd1e64"), hash_word(1, ""), hash_word(2, "68fd1e64")]
    assert hash_word(0, "68fd1e64") != hash_word(2, "68fd1e64")
    assert (data.train.x[0, 13:15] == data.train.x[1, 13:15]).all()


def test_hashes_survive_float32_and_are_the_same_in_every_release() -> None:
    assert np.float32(HASHES - 1) == HASHES - 1
    assert hash_word(2, "68fd1e64") == 8_458_229


def test_the_docstring_speaks_true() -> None:
    assert doctest.testmod(_clicks) == (0, 1)


def test_rows_are_read_up_to_the_limit_plain_or_packed(path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    one, other = criteo(path, test_share=0, max_rows=2), criteo(packed, test_share=0, max_rows=2)
    assert np.array_equal(one.train.x, other.train.x)
    assert len(one.train) == 2
    assert len(criteo(path, test_path=packed, max_rows=2).test or []) == 2


def test_a_category_deals_the_rows(path: Path) -> None:
    data = criteo(path, test_share=0, columns=["C3", "C2"])
    rows = by_column(data, np.random.default_rng(0), column="C2")
    assert {name: hand.tolist() for name, hand in rows.items()} == {"05db9164": [2], "missing": [0, 1]}
    assert data.columns["C3"].tolist() == ["68fd1e64", "80e26c9b", "05db9164"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; it has an advertisement a line"),
        (line() + line()[2:], "has 39 cells at line 2, beginning with '0'; a line of Criteo's has a label"),
        (line("2"), "has 40 cells at line 1, beginning with '2'; a line of Criteo's has a label"),
        (line() + line(counts="1 1.5"), "holds '1.5' at line 2, where a whole number belongs"),
    ],
)
def test_what_is_no_line_of_criteo_s_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "train.txt").write_text(content)
    with pytest.raises(InputError, match=sentence):
        criteo(tmp_path / "train.txt")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": "gone.txt"}, "cannot be read: No such file"),
        ({"path": "cut.gz"}, "is not a whole gzip file"),
        ({"columns": ["C27"]}, "data.columns holds 'C27'; did you mean 'C7'"),
    ],
)
def test_a_file_or_column_that_is_not_there_is_one_sentence(path: Path, options: dict[str, Any], sentence: str) -> None:
    (path.parent / "cut.gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
    with pytest.raises(InputError, match=sentence):
        criteo(path.parent / options.pop("path", path.name), **options)


def test_nobody_s_scores_are_better_than_those_of_the_true_chances() -> None:
    chance = np.array([0.1, 0.4, 0.4, 0.9])
    wins, pairs, loss = 0.0, 0.0, 0.0
    for outcome in product([0, 1], repeat=4):
        weight = float(np.prod(np.where(outcome, chance, 1 - chance)))
        for i, j in product(range(4), repeat=2):
            if outcome[i] > outcome[j]:
                pairs += weight
                wins += weight * ((chance[i] > chance[j]) + (chance[i] == chance[j]) / 2)
        loss -= weight * float(np.log(np.where(outcome, chance, 1 - chance)).mean())
    assert best_scores(chance) == pytest.approx({"auc": wins / pairs, "loss": loss})


def test_generated_clicks_happen_as_often_as_their_chance_says() -> None:
    shown = draw_clicks(make_world(publishers=4, words=20, seed=3), 20_000, seed=3)
    groups = np.digitize(shown.chance, np.quantile(shown.chance, [0.25, 0.5, 0.75]))
    for group in range(4):
        its = groups == group
        assert shown.examples.y[its].mean() == pytest.approx(shown.chance[its].mean(), abs=0.02)
    assert (shown.examples.x[:, :13] == -1).mean() == pytest.approx(0.1, abs=0.01)


def test_generated_clicks_follow_their_seed_and_publishers_differ() -> None:
    one, same, other = (generated_clicks(examples=3000, publishers=3, words=20, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.train.x, same.train.x)
    assert not np.array_equal(one.train.x, other.train.x)
    assert one.test is not None
    assert (len(one.train), len(one.test), set(one.columns["publisher"].tolist())) == (2400, 600, {0, 1, 2})
    common = make_world(publishers=3, words=20, seed=1).common[-1]
    assert common.shape == (3, 20)
    assert np.abs(common[0] - common[1]).max() > 0.01
