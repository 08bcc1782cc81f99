"""The programs that read words: where their embeddings come from, and what the unknown word counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.learning import Learner
from fl_core.programs import bag_of_words, lstm
from fl_core.section import Optimizer
from fl_core.types import Examples, LocalWork

TWEETS = Examples(np.array([[0, 1, 2], [1, 2, 2], [0, 0, 2]]), np.array([0, 1, 0]))


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """Two words with two numbers each."""
    path = tmp_path / "embs.json"
    path.write_text(json.dumps({"vocab": ["good", "bad"], "emba": [[1, 2], [3, 4.5]]}))
    return path


def trained(**options: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The weights of a small model before and after an epoch."""
    learner = Learner(lstm.program(classes=2, hidden=3, layers=1, **options), Optimizer.model_validate({"name": "SGD", "learning_rate": 1.0}), seed=1)
    before = learner.weights()
    fitted, _ = learner.fit(before, TWEETS, LocalWork(batch_size=1), seed=1)
    return before, {name: before[name] + fitted.move[name] for name in before}


@pytest.mark.parametrize("train", [True, False])
def test_embeddings_begin_with_the_file_s_and_are_trained_where_they_may(embeddings: Path, train: bool) -> None:
    before, after = trained(embeddings_path=embeddings, train_embeddings=train)
    assert before["embedding.weight"].tolist() == [[1, 2], [3, 4.5], [0, 0]]
    assert np.array_equal(before["embedding.weight"], after["embedding.weight"]) is not train
    assert not np.array_equal(before["logits.weight"], after["logits.weight"])


def test_the_embeddings_file_is_looked_for_beside_the_job_file(embeddings: Path) -> None:
    text = "{format: 1, name: a, rounds: 1, data: digits, program: {name: lstm, embeddings_path: embs.json}}"
    assert parse_job(text, folder=embeddings.parent).program.options["embeddings_path"] == str(embeddings)


@pytest.mark.parametrize("vectors", [None, [[1, 2]], [[1], [2, 3]], [[], []], [["a"], ["b"]], [[1, 2], [3, float("nan")]]])
def test_a_file_without_a_vector_for_each_word_is_one_sentence(tmp_path: Path, vectors: Any) -> None:
    path = tmp_path / "embs.json"
    path.write_text(json.dumps({"vocab": ["good", "bad"]} | ({} if vectors is None else {"emba": vectors})))
    with pytest.raises(InputError, match="holds no vectors for its 2 words; under 'emba' lies one list of numbers a word"):
        lstm.program(embeddings_path=path)


def test_embeddings_drawn_at_random_are_not_kept_so() -> None:
    with pytest.raises(InputError, match=r"^program.train_embeddings is false, .* name program.embeddings_path\.$"):
        lstm.program(train_embeddings=False)


def test_a_bag_adds_up_its_words_and_the_unknown_counts_nothing() -> None:
    net = bag_of_words.program(vocabulary=2).model()
    net.word.weight.set_value(np.array([[1, 10], [2, 20], [0, 0]], np.float32))
    net.bias.set_value(np.array([0.5, 0], np.float32))
    assert net(paddle.to_tensor(TWEETS.x)).numpy().tolist() == [[3.5, 30], [2.5, 20], [2.5, 20]]
    learner = Learner(bag_of_words.program(vocabulary=2), Optimizer.model_validate({"name": "SGD", "learning_rate": 1.0}), seed=1)
    fitted, _ = learner.fit(learner.weights(), TWEETS, LocalWork(batch_size=1), seed=1)
    assert not learner.weights()["word.weight"][2].any()
    assert fitted.move["word.weight"][:2].all()
