"""Gru4Rec: a gated recurrent network that tells which item a session goes on with.

Hidasi, Karatzoglou, Baltrunas and Tikk: Session-based Recommendations with Recurrent Neural Networks, 2016, https://arxiv.org/abs/1511.06939;
one embedding for both ends: Hidasi and Karatzoglou 2018, https://arxiv.org/abs/1706.03847
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
import paddle
from paddle.nn import functional as F
from pydantic import Field

from fl_core.errors import InputError
from fl_core.program import Batch, Program
from fl_core.programs._classification import Classes, Size
from fl_core.programs._gru4rec import SessionNetwork
from fl_core.programs._lanes import draw_with, drawn_with, session_batches
from fl_core.types import Examples, LocalWork

LossName = Literal["cross_entropy", "top1", "bpr"]
TOP = 20
# Scores (positions, items) that are held at once, while learning and while measuring: 128 and 32 MiB of floats.
TRAINING_SCORES_MAX = 1 << 25
MEASURING_SCORES_MAX = 1 << 23


def program(
    items: Classes,
    hidden: Size = 100,
    loss: LossName = "cross_entropy",
    negatives: Annotated[int, Field(ge=1, le=1_000_000)] | None = None,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4,
    tied: bool = True,
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.004,
) -> Program:
    """x (N, steps) items from 1 to `items`, 0 where a session has ended, y (N, steps) the item after each, 0 where there is none to tell.

    `cross_entropy` is over all items, or over those that a batch wants and `negatives` items drawn evenly for it, corrected for that. `top1` and `bpr`
    compare with the batch's other items and, where given, `negatives` items drawn evenly. Drawn are items that the client's own sessions hold: of others
    it knows nothing, and Adam would push them away as far as it pulls its own. Loss and metrics are means over the items to tell:
    recall_at_20, the share that is among the 20 best scores, and mrr_at_20, the mean of 1 / rank where it is.
    """
    losses: dict[LossName, Callable[[SessionNetwork, Batch], Any]] = {
        "cross_entropy": lambda net, batch: cross_entropy(net, batch, negatives),
        "top1": lambda net, batch: pairwise(net, batch, negatives or 0, top1),
        "bpr": lambda net, batch: pairwise(net, batch, negatives or 0, bpr),
    }

    def batches(examples: Examples, work: LocalWork, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        _check(examples, items)
        found = session_batches(examples, work, random, positions_max=TRAINING_SCORES_MAX // min(items, negatives or items))
        return draw_with(found, examples, negatives, random) if negatives else found

    return Program(
        model=lambda: SessionNetwork(items, hidden, dropout, tied),
        loss=losses[loss],
        optimizer=lambda parameters: paddle.optimizer.Adam(learning_rate, parameters=parameters),
        metrics=metrics,
        batches=batches,
        cases=lambda y: int((y > 0).sum()),
    )


def _check(examples: Examples, items: int) -> None:
    largest = max(int(examples.x.max()), int(examples.y.max()))
    if examples.x.ndim != 2 or examples.x.dtype.kind not in "iu" or examples.x.shape != examples.y.shape:
        raise InputError(f"Gru4Rec reads items, but x is {examples.x.dtype} of shape {examples.x.shape[1:]}; take the loader 'sessions'.")
    if largest > items:
        raise InputError(f"program.items is {items}, but the sessions hold item {largest}; set program.items to at least {largest}.")


def told(net: SessionNetwork, batch: Batch) -> tuple[paddle.Tensor, paddle.Tensor]:
    """The states (positions, hidden) from which an item is to be told, and that item (positions,) int64, counted from 0."""
    x, y = batch
    wanted = y[: len(x)].flatten().astype("int64")
    where = paddle.nonzero(wanted).flatten()
    return paddle.gather(net(x).reshape([-1, net.hidden]), where), paddle.gather(wanted, where) - 1


def cross_entropy(net: SessionNetwork, batch: Batch, negatives: int | None = None) -> paddle.Tensor:
    """The mean cross-entropy, over all items, or over the batch's wanted ones and evenly drawn ones that stand for all others."""
    states, wanted = told(net, batch)
    if negatives is None:
        return F.cross_entropy(net.score(states), wanted)
    drawn, known = drawn_with(batch, net.items, negatives)
    candidates, raised, places = draw_candidates(wanted.numpy(), known, drawn)
    return F.cross_entropy(net.score(states, paddle.to_tensor(candidates)) + paddle.to_tensor(raised), paddle.to_tensor(places))


def draw_candidates(wanted: np.ndarray, known: int, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The items to score (candidates,), by how much to raise each score, and where among them each wanted item is.

    Wanted items stand for themselves, and each drawn one that nobody wants for an even share of the `known` that nobody wants: its score is raised by
    the logarithm of how many. So the sum over the candidates' exponentials is that over all known items on average, and exact for the popular ones,
    which some step of a batch wants.
    """
    own, places = np.unique(wanted, return_inverse=True)
    others = drawn[~np.isin(drawn, own)]
    share = (known - len(own)) / max(len(others), 1)
    raised = np.concatenate([np.zeros(len(own)), np.full(len(others), np.log(max(share, 1.0)))])
    return np.concatenate([own, others]), raised.astype(np.float32), places


def pairwise(net: SessionNetwork, batch: Batch, negatives: int, compare: Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor]) -> paddle.Tensor:
    """The mean of a comparison of each wanted item's score (positions, 1) with those of the batch's other items and of evenly drawn ones."""
    states, wanted = told(net, batch)
    others = paddle.unique(wanted)
    if negatives:
        others = paddle.concat([others, paddle.to_tensor(drawn_with(batch, net.items, negatives)[0])])
    counted = (others.unsqueeze(0) != wanted.unsqueeze(1)).astype("float32")
    compared = compare(_own_score(net, states, wanted), net.score(states, others))
    return (compared * counted).sum() / counted.sum().clip(1)


def top1(own: paddle.Tensor, others: paddle.Tensor) -> paddle.Tensor:
    """TOP1: sigmoid(other - own) + sigmoid(other ** 2)."""
    return F.sigmoid(others - own) + F.sigmoid(others * others)


def bpr(own: paddle.Tensor, others: paddle.Tensor) -> paddle.Tensor:
    """Bayesian personalised ranking: -log sigmoid(own - other)."""
    return -F.log_sigmoid(own - others)


def metrics(net: SessionNetwork, batch: Batch) -> dict[str, paddle.Tensor]:
    """Mean cross-entropy over all items, recall@20 and MRR@20, all items ranked, slice by slice; a tie counts against the model."""
    states, wanted = told(net, batch)
    if int(wanted.max()) >= net.items:
        raise InputError(f"program.items is {net.items}, but the test sessions hold item {int(wanted.max()) + 1}; set program.items to at least that.")
    ranks, losses = [], []
    size = max(1, MEASURING_SCORES_MAX // net.items)
    for start in range(0, len(wanted), size):
        part = wanted[start : start + size].unsqueeze(1)
        scores = net.score(states[start : start + size])
        own = paddle.take_along_axis(scores, part, axis=1)
        # numpy counts, and this sum of exponentials is taken, several times faster than by Paddle's own reductions.
        ranks.append(np.count_nonzero(scores.numpy() >= own.numpy(), axis=1))
        losses.append(F.cross_entropy(scores, part, reduction="none"))
    rank = paddle.to_tensor(np.concatenate(ranks).astype(np.float32))
    found = (rank <= TOP).astype("float32")
    return {"loss": paddle.concat(losses).mean(), "recall_at_20": found.mean(), "mrr_at_20": (found / rank).mean()}


def _own_score(net: SessionNetwork, states: paddle.Tensor, wanted: paddle.Tensor) -> paddle.Tensor:
    own: paddle.Tensor = (states * F.embedding(wanted, net.output)).sum(axis=1, keepdim=True) + net.bias[wanted].unsqueeze(1)
    return own
