"""FedNova: each move is divided by how many steps it took, so that clients who do more steps do not pull the model towards their own optimum.

Wang, Liu, Liang, Joshi, Poor: Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization, 2020, https://arxiv.org/abs/2007.07481
"""

import numpy as np

from fl_core.strategies._checks import above, from_up_to
from fl_core.strategies.fed_avg import local_work
from fl_core.strategy import Exchange, Strategy, add, names_only
from fl_core.types import Client, ClientUpdate, ModelUpdate, RoundState, Weights

STEPS = "nova/steps"


def fed_nova(
    local_momentum: float = 0.0,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
) -> Strategy:
    """Normalised averaging for the local optimizers SGD and Momentum; `local_momentum` is the latter's, from 0 up to 1.

    The weights move by (mean steps) * (mean of move / steps), means by examples; where clients do equally many steps that is FedAvg. With momentum a
    client's steps count by what each gradient adds up to: [s - m (1 - m**s) / (1 - m)] / (1 - m) for s steps. Batch statistics are averaged.
    """
    from_up_to(0, 1, local_momentum=local_momentum)
    above(0, server_learning_rate=server_learning_rate)
    work = local_work(local_epochs, local_steps, batch_size, shuffle)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        trained = client.fit(state.weights, work)
        steps = effective_steps(trained.steps, local_momentum)
        move = {name: value / steps if name in state.memory else value for name, value in trained.move.items()}
        return ClientUpdate({**move, STEPS: np.array(float(steps))}, weight=trained.examples, metrics=trained.metrics), memory

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        mean = dict(update.mean())
        steps = mean.pop(STEPS)
        move = {name: steps * value if name in state.memory else value for name, value in mean.items()}
        return state.next(add(state.weights, move, server_learning_rate))

    def expects(state: RoundState) -> Weights:
        return {**state.weights, STEPS: np.zeros(())}

    return Strategy(exchanges=(Exchange("train", train, expects=expects),), apply=apply, init=names_only, work=work)


def effective_steps(steps: int, momentum: float) -> float:
    """How much each gradient adds up to over so many steps with momentum: the paper's |a|_1."""
    return (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
