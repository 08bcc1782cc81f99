"""FedAdagrad: the server adapts each weight's step to the sum of all squared mean moves so far.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization, 2021, https://arxiv.org/abs/2003.00295
"""

from fl_core.strategies._fed_opt import fed_opt
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy, Weigh


def fed_adagrad(
    server_learning_rate: float = 0.1,
    beta_1: float = 0.0,
    tau: float = 1e-3,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    weigh: Weigh = "examples",
) -> Strategy:
    """second = second + move**2. Steps only ever shrink.
    `beta_1`: shares from 0 up to 1 that are kept a round. `tau`: in units of the mean move, a floor that bounds how far a weight may jump.
    `server_learning_rate`: in units of the weights, for moves well above `tau`. The other options are FedAvg's."""
    averaging = fed_avg(local_epochs, local_steps, batch_size, shuffle, server_learning_rate, weigh)
    return fed_opt(lambda second, squared: second + squared, beta_1, tau, server_learning_rate, averaging)
