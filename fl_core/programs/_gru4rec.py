"""Gru4Rec's network: it reads a session item by item and scores what may come next."""

import numpy as np
import paddle
from paddle.nn import functional as F

# What a gate is given to be shut: its sigmoid is 2e-22. Not 0, because the gradient of Paddle's operation divides by the gate.
SHUT = -50.0


class SessionNetwork(paddle.nn.Layer):
    """Item embeddings, one GRU layer, and a score for each item: the state's product with the item's output embedding, and a bias.

    With `tied` the items have one embedding for both ends, as in Hidasi's later implementation, which halves the model.
    """

    def __init__(self, items: int, hidden: int, dropout: float, tied: bool) -> None:
        super().__init__()
        self.items, self.hidden, self.dropout = items, hidden, dropout
        self.embedding = self._weight(items, hidden, limit=hidden**-0.5)
        self.output_embedding = None if tied else self._weight(items, hidden, limit=hidden**-0.5)
        self.bias = self.create_parameter([items], is_bias=True)
        self.gates_of_item = self._weight(3 * hidden, hidden)
        self.gates_of_state = self._weight(3 * hidden, hidden)
        self.gates_bias = self.create_parameter([2 * hidden], is_bias=True)
        self.candidate_bias = self.create_parameter([hidden], is_bias=True)
        self._shut = paddle.to_tensor(np.repeat(np.array([SHUT, SHUT, 0], np.float32), hidden)[:, None])
        self._zeros = paddle.zeros([hidden])

    def _weight(self, rows: int, columns: int, limit: float | None = None) -> paddle.Tensor:
        limit = limit or (6 / (rows + columns)) ** 0.5
        return self.create_parameter([rows, columns], default_initializer=paddle.nn.initializer.Uniform(-limit, limit))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """The state after each item of x (lanes, steps): (lanes, steps, hidden). Where x is 0 a session has ended and the state is 0 again."""
        going = (x > 0).astype("float32").unsqueeze(-1)
        embedded = F.dropout(F.embedding((x - 1).clip(0), self.embedding), self.dropout, training=self.training)
        states = self._run(paddle.concat([embedded * going, 1 - going], axis=-1))
        return F.dropout(states, self.dropout, training=self.training)

    def _run(self, inputs: paddle.Tensor) -> paddle.Tensor:
        """The GRU as Paddle's one fused operation, which is four times faster than a loop over steps.

        It knows no resets, so the last input, 1 where a session has ended, shuts both gates: of the old state nothing is kept, and the new one is tanh(0).
        """
        weights = [
            paddle.concat([self.gates_of_item, self._shut], axis=1), self.gates_of_state,
            paddle.concat([self.gates_bias, self._zeros]), paddle.concat([paddle.zeros_like(self.gates_bias), self.candidate_bias]),
        ]  # fmt: skip
        first, nothing = paddle.zeros([1, inputs.shape[0], self.hidden]), paddle.empty([0], "uint8")
        steps = inputs.transpose([1, 0, 2])
        states, *_ = paddle._C_ops.rnn(
            steps, [first], weights, None, nothing, 0.0, False, self.hidden + 1, self.hidden, 1, "GRU", 0, not self.training
        )  # fmt: skip
        return states.transpose([1, 0, 2])

    @property
    def output(self) -> paddle.Tensor:
        """What an item's score is made with (items, hidden)."""
        return self.embedding if self.output_embedding is None else self.output_embedding

    def score(self, states: paddle.Tensor, items: paddle.Tensor | None = None) -> paddle.Tensor:
        """(positions, items): the scores of all items, or of some, counted from 0."""
        if items is None:
            return paddle.matmul(states, self.output, transpose_y=True) + self.bias
        return paddle.matmul(states, F.embedding(items, self.output), transpose_y=True) + self.bias[items]
