"""Krum: the one move that lies closest to its neighbours becomes the model's.

Blanchard, El Mhamdi, Guerraoui, Stainer: Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, 2017,
https://proceedings.neurips.cc/paper/2017/hash/f4b9ec30ad9f68f89b29639786cb62ef-Abstract.html
"""

from fl_core.strategies.multi_krum import multi_krum
from fl_core.strategy import Strategy


def krum(
    byzantine: int = 1,
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
) -> Strategy:
    """Multi-Krum that keeps one client: robust, and slow to learn where clients differ. It needs at least 2 * byzantine + 3 clients a round."""
    return multi_krum(byzantine, 1, local_epochs, local_steps, batch_size, shuffle, server_learning_rate)
