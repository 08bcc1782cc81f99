"""Logistic regression, of two classes or more (softmax regression)."""

from fl_core.program import Program
from fl_core.programs._classification import Classes, Size, classifier
from fl_core.programs._dense import Dense, apply_dense, apply_dense_together


def program(features: Size, classes: Classes = 2) -> Program:
    """x (N, features) float32, y (N,) int64: one dense layer to logits (N, classes)."""
    return classifier(lambda: Dense([features, classes]), apply_dense, apply_dense_together)
