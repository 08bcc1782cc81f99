"""Dense layers, one after the other."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import paddle
from paddle.nn import functional as F


class Dense(paddle.nn.Layer):
    """x (N, …), flattened to (N, sizes[0]), through dense layers of the given sizes with ReLU between them: (N, sizes[-1])."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = paddle.nn.LayerList([paddle.nn.Linear(before, after) for before, after in pairwise(sizes)])

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = x if x.ndim == 2 else x.flatten(1)
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        output: paddle.Tensor = last(x)
        return output


def apply_dense(weights: Mapping[str, paddle.Tensor], x: paddle.Tensor) -> paddle.Tensor:
    """What a `Dense` with these weights gives for x, in the same bits, without calling a layer."""
    return _apply(weights, x if x.ndim == 2 else x.flatten(1))


def apply_dense_together(weights: Mapping[str, paddle.Tensor], x: paddle.Tensor) -> paddle.Tensor:
    """The same for K clients with weights (K, …) of their own and x (K, B, …)."""
    rows = {name: value.unsqueeze(1) if name.endswith("bias") else value for name, value in weights.items()}
    return _apply(rows, x if x.ndim == 3 else x.flatten(2))


def _apply(weights: Mapping[str, paddle.Tensor], x: paddle.Tensor) -> paddle.Tensor:
    last = len(weights) // 2 - 1
    for i in range(last):
        x = F.relu(x @ weights[f"layers.{i}.weight"] + weights[f"layers.{i}.bias"])
    return x @ weights[f"layers.{last}.weight"] + weights[f"layers.{last}.bias"]
