"""Logistic regression on how often each word is there, as LEAF does for tweets: the order of the words is lost.

Caldas et al. 2018, https://arxiv.org/abs/1812.01097
"""

import paddle

from fl_core.program import Program
from fl_core.programs._classification import Classes, Size, classifier


def program(vocabulary: Size, classes: Classes = 2) -> Program:
    """x (N, words) int64 from 0 to vocabulary, which stands for an unknown word and for none, y (N,) int64: logits (N, classes)."""
    return classifier(lambda: BagOfWords(vocabulary, classes))


class BagOfWords(paddle.nn.Layer):
    """A weight for each word and class; the unknown word's is 0 and stays so."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.word = paddle.nn.Embedding(vocabulary + 1, classes, padding_idx=vocabulary)
        self.bias = self.create_parameter([classes], is_bias=True)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        logits: paddle.Tensor = self.word(x).sum(axis=1) + self.bias
        return logits
