"""Softmax regression on scikit-learn's digits: 64 pixels, 10 classes."""

import paddle
from paddle.nn import functional as F

from fl_core.program import Batch, Program


def loss(net: paddle.nn.Layer, batch: Batch) -> paddle.Tensor:
    x, y = batch
    return F.cross_entropy(net(x), y)


def metrics(net: paddle.nn.Layer, batch: Batch) -> dict[str, paddle.Tensor]:
    x, y = batch
    logits = net(x)
    right = (logits.argmax(axis=1) == y).astype("float32").mean()
    return {"loss": F.cross_entropy(logits, y), "accuracy": right}


program = Program(model=lambda: paddle.nn.Linear(64, 10), loss=loss, metrics=metrics)
