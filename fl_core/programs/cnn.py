"""LEAF's FEMNIST network; with 512 dense units and 10 classes the CNN of McMahan et al. 2017 on MNIST (1 663 370 parameters).

Caldas, Duddu, Wu, Li, Konečný, McMahan, Smith and Talwalkar 2018, https://arxiv.org/abs/1812.01097;
McMahan, Moore, Ramage, Hampson and Agüera y Arcas 2017, https://arxiv.org/abs/1602.05629
"""

import paddle
from paddle.nn import functional as F

from fl_core.program import Program
from fl_core.programs._classification import Classes, Size, classifier


def program(classes: Classes = 62, image_size: Size = 28, channels: Size = 1, dense: Size = 2048) -> Program:
    """x (N, channels, image_size, image_size) or flattened, float32, y (N,) int64: logits (N, classes)."""
    return classifier(lambda: Convolutional(classes, image_size, channels, dense))


class Convolutional(paddle.nn.Layer):
    """Two 5 x 5 convolutions of 32 and 64 channels, each with ReLU and halved by pooling, then two dense layers."""

    def __init__(self, classes: int, image_size: int, channels: int, dense: int) -> None:
        super().__init__()
        self.image = (channels, image_size, image_size)
        self.first = paddle.nn.Conv2D(channels, 32, 5, padding=2)
        self.second = paddle.nn.Conv2D(32, 64, 5, padding=2)
        self.dense = paddle.nn.Linear(64 * (image_size // 4) ** 2, dense)
        self.logits = paddle.nn.Linear(dense, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = _convolve_and_halve(self.second, _convolve_and_halve(self.first, x.reshape((-1, *self.image))))
        logits: paddle.Tensor = self.logits(F.relu(self.dense(x.flatten(1))))
        return logits


def _convolve_and_halve(layer: paddle.nn.Conv2D, x: paddle.Tensor) -> paddle.Tensor:
    """`F.max_pool2d(F.relu(layer(x)), 2)` in the same bits and less time, for reasons that docs/benchmarks.md measures: an image that is padded beforehand is
    copied by rows, a bias that is spread out beforehand is added by rows, and the largest of four stays the largest with a bias and through ReLU.
    """
    pooled = F.max_pool2d(F.conv2d(F.pad(x, [2, 2, 2, 2]), layer.weight), 2)
    return F.relu(pooled + layer.bias.reshape([1, -1, 1, 1]).expand(pooled.shape))
