"""FedPer: some layers stay with each client and are never sent; the others are averaged.

Arivazhagan, Aggarwal, Singh, Choudhary: Federated Learning with Personalization Layers, 2019, https://arxiv.org/abs/1912.00818
"""

from collections.abc import Sequence
from dataclasses import replace

from fl_core.errors import InputError
from fl_core.strategies.fed_avg import averaged, local_work
from fl_core.strategy import Strategy, Weigh
from fl_core.types import NOTHING, Client, ClientUpdate, RoundState, Weights


def fed_per(
    personal: Sequence[str],
    local_epochs: int = 1,
    local_steps: int | None = None,
    batch_size: int = 10,
    shuffle: bool = True,
    server_learning_rate: float = 1.0,
    weigh: Weigh = "examples",
) -> Strategy:
    """FedAvg without the weights whose names begin with one of the prefixes `personal`, such as ["logits."]: they lie in each client's memory.

    The shared model keeps its first values of them, so judge it by what clients measure around training (`evaluate.around_training`), not by the
    test set. The other options are FedAvg's.
    """
    if not personal:
        raise ValueError("personal is empty; name the beginning of at least one weight that stays with its client")
    work, own = local_work(local_epochs, local_steps, batch_size, shuffle), tuple(personal)

    def train(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        weights = {**state.weights, **memory}
        trained = client.fit(weights, work)
        kept = {name: weights[name] + move for name, move in trained.move.items() if name.startswith(own)}
        return ClientUpdate(shared(trained.move), weight=trained.examples, metrics=trained.metrics), kept

    def shared(weights: Weights) -> Weights:
        return {name: value for name, value in weights.items() if not name.startswith(own)}

    def init(trainable: Weights) -> Weights:
        for prefix in own:
            if not any(name.startswith(prefix) for name in trainable):
                raise InputError(f"strategy.personal has '{prefix}', but no weight begins so; there are {', '.join(sorted(trainable))}.")
        if not shared(trainable):
            raise InputError("strategy.personal names every weight; leave at least one to be shared.")
        return NOTHING

    return replace(averaged(train, server_learning_rate, weigh, work, expects=lambda state: shared(state.weights)), init=init)
