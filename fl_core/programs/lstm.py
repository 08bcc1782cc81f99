"""LEAF's stacked LSTM: it reads letters and names the next (Shakespeare), or reads a tweet's words and says whether it is a happy one (Sent140).

Caldas et al. 2018, https://arxiv.org/abs/1812.01097
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import paddle
from pydantic import Field

from fl_core.errors import InputError
from fl_core.leaf.words import read_vectors
from fl_core.program import Program
from fl_core.programs._classification import Classes, Size, classifier


def program(
    vocabulary: Size = 80,
    classes: Classes = 80,
    embedding: Size = 8,
    hidden: Size = 256,
    layers: Annotated[int, Field(ge=1, le=8)] = 2,
    dense: Size | None = None,
    embeddings_path: Path | None = None,
    train_embeddings: bool = True,
) -> Program:
    """x (N, steps) int64 from 0 to vocabulary - 1, y (N,) int64: logits (N, classes) of the last step.

    Left as they are the options are LEAF's for Shakespeare. `dense` puts a layer of that size before the logits, as LEAF does for tweets.
    `embeddings_path` names LEAF's embs.json, whose vectors the embeddings begin with, the one of the unknown word behind them at 0; `vocabulary` and
    `embedding` are then the file's. `train_embeddings: false` keeps them as they are.
    """
    if not train_embeddings and embeddings_path is None:
        raise InputError("program.train_embeddings is false, but embeddings drawn at random would then stay so; name program.embeddings_path.")
    vectors = None if embeddings_path is None else read_vectors(embeddings_path)
    words, size = (vocabulary, embedding) if vectors is None else (len(vectors) + 1, vectors.shape[1])
    return classifier(lambda: StackedLSTM(words, size, hidden, layers, dense, classes, vectors, train_embeddings))


class StackedLSTM(paddle.nn.Layer):
    """Embedding, LSTM layers, perhaps a dense layer without activation, and the logits of the last step."""

    def __init__(
        self, words: int, size: int, hidden: int, layers: int, dense: int | None, classes: int, vectors: np.ndarray | None, train_embeddings: bool
    ) -> None:
        super().__init__()
        self.embedding = paddle.nn.Embedding(words, size)
        if vectors is not None:
            self.embedding.weight.set_value(np.concatenate([vectors, np.zeros((1, size), np.float32)]))
        self.embedding.weight.stop_gradient = not train_embeddings
        self.recurrent = paddle.nn.LSTM(size, hidden, layers)
        self.dense = paddle.nn.Linear(hidden, dense) if dense else None
        self.logits = paddle.nn.Linear(dense or hidden, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        steps, _ = self.recurrent(self.embedding(x))
        last = steps[:, -1]
        logits: paddle.Tensor = self.logits(last if self.dense is None else self.dense(last))
        return logits
