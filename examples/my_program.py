"""A program of your own: a model, its loss, its optimizer and its metrics. A batch is (x, y): images (N, 64) float32 and their digits (N,) int64."""

import paddle
from paddle.nn import functional as F

from fl_core.program import Program


def model():
    return paddle.nn.Sequential(paddle.nn.Linear(64, 32), paddle.nn.ReLU(), paddle.nn.Dropout(0.2), paddle.nn.Linear(32, 10))


def loss(net, batch):
    x, y = batch
    return F.cross_entropy(net(x), y)


def optimizer(parameters):
    return paddle.optimizer.Adam(learning_rate=0.01, parameters=parameters)


def metrics(net, batch):
    x, y = batch
    return {"loss": loss(net, batch), "accuracy": (net(x).argmax(axis=1) == y).astype("float32").mean()}


program = Program(model=model, loss=loss, optimizer=optimizer, metrics=metrics)
