"""Linear regression by least squares."""

import paddle
from paddle.nn import functional as F

from fl_core.program import Batch, Program
from fl_core.programs._classification import Size
from fl_core.programs._dense import Dense


def program(features: Size) -> Program:
    """x (N, features) float32, y (N,) float32: one dense layer to predictions (N, 1)."""
    return Program(model=lambda: Dense([features, 1]), loss=loss, metrics=metrics)


def loss(net: paddle.nn.Layer, batch: Batch) -> paddle.Tensor:
    """The mean squared error."""
    x, y = batch
    return F.mse_loss(net(x).flatten(), y)


def metrics(net: paddle.nn.Layer, batch: Batch) -> dict[str, paddle.Tensor]:
    """The mean squared and the mean absolute error."""
    x, y = batch
    predicted = net(x).flatten()
    return {"loss": F.mse_loss(predicted, y), "mae": F.l1_loss(predicted, y)}
