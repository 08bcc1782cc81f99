"""Programs as a user writes them, which no benchmark's engine knows: plain layers, and the same with a functional form."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import paddle
from paddle.nn import functional as F

from fl_core.program import Program


def layers(features: int, classes: int, hidden: Sequence[int]) -> Program:
    """A perceptron of `paddle.nn.Sequential`."""
    return Program(model=lambda: _model(features, classes, hidden), loss=lambda net, batch: F.cross_entropy(net(batch[0]), batch[1]))


def functional(features: int, classes: int, hidden: Sequence[int]) -> Program:
    """The same perceptron with its loss as a function of the weights."""
    names = [str(2 * i) for i in range(len(hidden) + 1)]

    def loss(weights: Mapping[str, Any], batch: tuple[Any, Any]) -> Any:
        x, y = batch
        for name in names[:-1]:
            x = F.relu(paddle.addmm(weights[f"{name}.bias"], x, weights[f"{name}.weight"]))
        return F.cross_entropy(paddle.addmm(weights[f"{names[-1]}.bias"], x, weights[f"{names[-1]}.weight"]), y)

    return Program(model=lambda: _model(features, classes, hidden), loss=lambda net, batch: F.cross_entropy(net(batch[0]), batch[1]), functional=loss)


def _model(features: int, classes: int, hidden: Sequence[int]) -> paddle.nn.Layer:
    sizes = [features, *hidden, classes]
    parts: list[paddle.nn.Layer] = []
    for before, after in itertools.pairwise(sizes):
        parts += [paddle.nn.Linear(before, after), paddle.nn.ReLU()]
    return paddle.nn.Sequential(*parts[:-1])
