"""What robust strategies share: each client's move is kept apart, and something other than the mean makes one of them."""

from collections.abc import Callable
from dataclasses import replace

from fl_core.strategies._checks import above
from fl_core.strategy import Strategy, add
from fl_core.types import ModelUpdate, RoundState, Weights


def merged_by(merge: Callable[[ModelUpdate], Weights], strategy: Strategy, server_learning_rate: float, least: int = 0) -> Strategy:
    """The strategy with its one exchange of form `list`, applied as weights + server_learning_rate * merge(update); a round
    takes at least `least` clients."""
    above(0, server_learning_rate=server_learning_rate)
    (exchange,) = strategy.exchanges

    def apply(state: RoundState, update: ModelUpdate) -> RoundState:
        return state.next(add(state.weights, merge(update), server_learning_rate))

    return replace(strategy, exchanges=(replace(exchange, form="list", least=least),), apply=apply)
