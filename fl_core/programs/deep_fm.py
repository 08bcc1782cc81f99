"""DeepFM: will an advertisement be clicked? What every category is worth, what each two are to each other, and a network over all of it.

Guo, Tang, Ye, Li and He: DeepFM, a Factorization-Machine based Neural Network for CTR Prediction, 2017, https://arxiv.org/abs/1703.04247
"""

from collections.abc import Sequence
from typing import Annotated

import paddle
from paddle.nn import functional as F
from pydantic import Field

from fl_core.program import Batch, Program
from fl_core.programs._classification import Size
from fl_core.programs._dense import Dense


def program(
    counts: Annotated[int, Field(ge=0, le=10_000)] = 13,
    categories: Annotated[int, Field(ge=2, le=10_000)] = 26,
    buckets: Size = 20_000,
    embedding: Size = 4,
    hidden: Sequence[Size] = (64, 32),
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.003,
) -> Program:
    """x (N, counts + categories) float32, first the counts, then a hash of each category, y (N,) int64, 1 for a click.

    Hashes share `buckets` embeddings, so that the model's size does not depend on how many words there are; two that meet in one are learnt as one.
    Its metrics are the log loss and the AUC, the latter as the mean over the slices in which a test set is measured, of 512 examples each. The optimizer
    of its own is Adam.
    """
    return Program(
        model=lambda: DeepFM(counts, categories, buckets, embedding, hidden),
        loss=loss,
        optimizer=lambda parameters: paddle.optimizer.Adam(learning_rate, parameters=parameters),
        metrics=metrics,
    )


class DeepFM(paddle.nn.Layer):
    """The log-odds (N,) of a click: a linear part, the products of every two categories' embeddings, and dense layers over counts and embeddings."""

    def __init__(self, counts: int, categories: int, buckets: int, embedding: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.counts, self.buckets = counts, buckets
        self.worth = paddle.nn.Embedding(buckets, 1)
        # Smaller ones would have products of nearly 0, which learn slowly.
        self.embedding = paddle.nn.Embedding(buckets, embedding, weight_attr=paddle.nn.initializer.Normal(std=0.1))
        self.deep = Dense([counts + categories * embedding, *hidden, 1])
        self.linear = paddle.nn.Linear(counts, 1) if counts else None

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        counts, hashes = x[:, : self.counts], x[:, self.counts :].astype("int64") % self.buckets
        embedded = self.embedding(hashes)
        together = (embedded.sum(axis=1).square() - embedded.square().sum(axis=1)).sum(axis=1) / 2
        odds: paddle.Tensor = self.worth(hashes).sum(axis=[1, 2]) + together + self.deep(paddle.concat([counts, embedded.flatten(1)], axis=1)).squeeze(1)
        return odds if self.linear is None else odds + self.linear(counts).squeeze(1)


def loss(net: paddle.nn.Layer, batch: Batch) -> paddle.Tensor:
    """The mean log loss."""
    x, y = batch
    return F.binary_cross_entropy_with_logits(net(x), y.astype("float32"))


def metrics(net: paddle.nn.Layer, batch: Batch) -> dict[str, paddle.Tensor]:
    """The mean log loss, and the AUC within the batch."""
    x, y = batch
    odds = net(x)
    return {"loss": F.binary_cross_entropy_with_logits(odds, y.astype("float32")), "auc": auc(odds, y)}


def auc(scores: paddle.Tensor, y: paddle.Tensor) -> paddle.Tensor:
    """The share of pairs of a click and none in which the click has the higher score; an equal one counts half, and a batch without pairs is 0.5."""
    clicked, passed = scores[y > 0], scores[y == 0]
    if not clicked.shape[0] or not passed.shape[0]:
        return paddle.full([], 0.5)
    difference = clicked.unsqueeze(1) - passed.unsqueeze(0)
    return ((difference > 0).astype("float32") + (difference == 0).astype("float32") / 2).mean()
