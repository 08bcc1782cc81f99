"""What all classifiers share: the loss, the metrics, and how a model becomes a program."""

from collections.abc import Callable, Mapping
from typing import Annotated

import paddle
from paddle.nn import functional as F
from pydantic import Field

from fl_core.program import Batch, Program

Classes = Annotated[int, Field(ge=2, le=1_000_000)]
Apply = Callable[[Mapping[str, paddle.Tensor], paddle.Tensor], paddle.Tensor]
Size = Annotated[int, Field(ge=1, le=1_000_000)]


def loss(net: paddle.nn.Layer, batch: Batch) -> paddle.Tensor:
    """The mean cross-entropy of logits (N, classes) and labels (N,) int64."""
    x, y = batch
    return F.cross_entropy(net(x), y)


def metrics(net: paddle.nn.Layer, batch: Batch) -> dict[str, paddle.Tensor]:
    """The mean cross-entropy, and the share of examples whose highest logit is their label's."""
    x, y = batch
    logits = net(x)
    right = (logits.argmax(axis=1) == y).astype("float32").mean()
    return {"loss": F.cross_entropy(logits, y), "accuracy": right}


def classifier(model: Callable[[], paddle.nn.Layer], apply: Apply | None = None, apply_together: Apply | None = None) -> Program:
    """The program of a model that gives logits (N, classes); `apply` gives the same logits as a function of the weights and x, `apply_together` for
    many clients at a time."""
    return Program(
        model=model, loss=loss, metrics=metrics,
        functional=apply and (lambda weights, batch: F.cross_entropy(apply(weights, batch[0]), batch[1])),
        together=apply_together and (lambda weights, batch: F.cross_entropy(apply_together(weights, batch[0]), batch[1], reduction="none")),
    )  # fmt: skip
