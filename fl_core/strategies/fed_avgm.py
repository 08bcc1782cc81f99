"""FedAvgM: the server keeps a momentum of the clients' mean moves, which steadies training on data that differ between clients.

Hsu, Qi, Brown: Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification, 2019, https://arxiv.org/abs/1909.06335
"""

from dataclasses import replace

from fl_core.strategies._checks import from_up_to
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy, Weigh, add, zeros
from fl_core.types import ModelUpdate, RoundState


def fed_avgm(
    momentum: float = 0.9,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
    weigh: Weigh = "examples",
) -> Strategy:
    """FedAvg whose server moves the weights by server_learning_rate * velocity, where velocity = momentum * velocity + mean move.
    `momentum` is from 0 up to 1 and has no unit; 0 is FedAvg, whose options the others are. Batch statistics are averaged."""
    from_up_to(0, 1, momentum=momentum)

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        mean = update.mean()
        velocity = {name: momentum * old + mean[name] for name, old in state.memory.items()}
        return state.next(add(state.weights, {**mean, **{name: server_learning_rate * value for name, value in velocity.items()}}), velocity)

    return replace(fed_avg(local_epochs, local_steps, batch_size, shuffle, server_learning_rate, weigh), apply=apply, init=zeros)
