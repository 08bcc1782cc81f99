"""A gated recurrent network that reads a sequence of tokens and names its class, such as the token that follows."""

import paddle

from fl_core.program import Program
from fl_core.programs._classification import Classes, Size, classifier


def program(vocabulary: Size, classes: Classes, embedding: Size = 32, hidden: Size = 64) -> Program:
    """x (N, steps) int64 from 0 to vocabulary - 1, y (N,) int64: logits (N, classes) of the last step."""
    return classifier(lambda: Recurrent(vocabulary, classes, embedding, hidden))


class Recurrent(paddle.nn.Layer):
    """Embedding, one GRU layer, and a dense layer on its last step."""

    def __init__(self, vocabulary: int, classes: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = paddle.nn.Embedding(vocabulary, embedding)
        self.recurrent = paddle.nn.GRU(embedding, hidden)
        self.logits = paddle.nn.Linear(hidden, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        steps, _ = self.recurrent(self.embedding(x))
        logits: paddle.Tensor = self.logits(steps[:, -1])
        return logits
