"""FedYogi: FedAdam whose second moment changes by the size of the new square, not by its distance, and so forgets slowly.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization, 2021, https://arxiv.org/abs/2003.00295
"""

import numpy as np

from fl_core.strategies._checks import from_up_to
from fl_core.strategies._fed_opt import fed_opt
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Strategy, Weigh


def fed_yogi(
    server_learning_rate: float = 0.1,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    tau: float = 1e-3,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    weigh: Weigh = "examples",
) -> Strategy:
    """second = second - (1 - beta_2) * move**2 * sign(second - move**2).
    `beta_1` and `beta_2`: shares from 0 up to 1 that are kept a round. `tau`: in units of the mean move, a floor that bounds how far a weight may jump.
    `server_learning_rate`: in units of the weights, for moves well above `tau`. The other options are FedAvg's."""
    from_up_to(0, 1, beta_2=beta_2)
    averaging = fed_avg(local_epochs, local_steps, batch_size, shuffle, server_learning_rate, weigh)
    return fed_opt(lambda second, squared: second - (1 - beta_2) * squared * np.sign(second - squared), beta_1, tau, server_learning_rate, averaging)
