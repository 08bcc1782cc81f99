"""What FedAdagrad, FedAdam and FedYogi share: an adaptive optimizer at the server, for which the mean move stands in for the gradient.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization, 2021, https://arxiv.org/abs/2003.00295
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fl_core.strategies._checks import above, from_up_to
from fl_core.strategy import Strategy, add
from fl_core.types import ModelUpdate, RoundState, Weights

FIRST, SECOND = "first/", "second/"
Second = Callable[[np.ndarray, np.ndarray], np.ndarray]


def fed_opt(
    second: Second,
    beta_1: float,
    tau: float,
    server_learning_rate: float,
    averaging: Strategy,
) -> Strategy:
    """FedAvg, `averaging`, whose server moves each trainable weight by server_learning_rate * first / (sqrt(second) + tau).

    first = beta_1 * first + (1 - beta_1) * mean move, from 0 on; `second` makes the new second moment of the old one, tau**2 at first, and the
    squared mean move. There is no bias correction, as in the paper. Batch statistics are averaged.
    """
    from_up_to(0, 1, beta_1=beta_1)
    above(0, tau=tau)

    def init(trainable: Weights) -> Weights:
        firsts = {f"{FIRST}{name}": np.zeros_like(value) for name, value in trainable.items()}
        return firsts | {f"{SECOND}{name}": np.full_like(value, tau**2) for name, value in trainable.items()}

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        move, memory = dict(update.mean()), dict(state.memory)
        for name in (key.removeprefix(FIRST) for key in state.memory if key.startswith(FIRST)):
            first = beta_1 * memory[FIRST + name] + (1 - beta_1) * move[name]
            squared = second(memory[SECOND + name].astype(np.float64), move[name] ** 2)
            memory |= {FIRST + name: first, SECOND + name: squared}
            move[name] = server_learning_rate * first / (np.sqrt(squared) + tau)
        return state.next(add(state.weights, move), memory)

    return replace(averaging, apply=apply, init=init)
