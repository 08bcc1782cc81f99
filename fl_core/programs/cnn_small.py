"""A small convolutional network with what federations tend to get wrong: batch statistics, which change without being learnt, and dropout, which is random."""

from typing import Annotated

import paddle
from paddle.nn import functional as F
from pydantic import Field

from fl_core.program import Program
from fl_core.programs._classification import Classes, Size, classifier


def program(classes: Classes = 10, image_size: Size = 8, channels: Size = 1, filters: Size = 8, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25) -> Program:
    """x (N, channels, image_size, image_size) or flattened, float32, y (N,) int64: logits (N, classes)."""
    return classifier(lambda: Small(classes, image_size, channels, filters, dropout))


class Small(paddle.nn.Layer):
    """A 3 x 3 convolution, batch normalisation, ReLU, pooling, dropout, and a dense layer."""

    def __init__(self, classes: int, image_size: int, channels: int, filters: int, dropout: float) -> None:
        super().__init__()
        self.image = (channels, image_size, image_size)
        self.convolution = paddle.nn.Conv2D(channels, filters, 3, padding=1)
        self.normalisation = paddle.nn.BatchNorm2D(filters)
        self.dropout = paddle.nn.Dropout(dropout)
        self.logits = paddle.nn.Linear(filters * (image_size // 2) ** 2, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = F.relu(self.normalisation(self.convolution(x.reshape((-1, *self.image)))))
        logits: paddle.Tensor = self.logits(self.dropout(F.max_pool2d(x, 2).flatten(1)))
        return logits
