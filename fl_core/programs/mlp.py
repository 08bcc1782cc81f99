"""A multilayer perceptron; with two hidden layers of 200 the 2NN of McMahan et al. 2017, https://arxiv.org/abs/1602.05629."""

from collections.abc import Sequence

from fl_core.program import Program
from fl_core.programs._classification import Classes, Size, classifier
from fl_core.programs._dense import Dense, apply_dense, apply_dense_together


def program(features: Size, classes: Classes, hidden: Sequence[Size] = (200, 200)) -> Program:
    """x (N, features) or (N, …) float32, y (N,) int64: dense layers with ReLU between them to logits (N, classes)."""
    return classifier(lambda: Dense([features, *hidden, classes]), apply_dense, apply_dense_together)
