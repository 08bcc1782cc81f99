"""The nouns that pass between the roles: weights, states, updates, examples."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

Weights = Mapping[str, np.ndarray]
Form = Literal["sum", "list", "masked"]
NOTHING: Weights = {}
FIGURE_MAX = 1e200
"""The largest loss, metric or count that a worker may report: sums over all clients stay finite."""


@dataclass(frozen=True)
class Examples:
    """Examples of one client or one set: x and y have equal first dimensions; row i of y is the label of row i of x."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray | slice) -> "Examples":
        return Examples(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Meaning:
    """What the numbers of examples stand for, as far as it is known: the features' names in the order of x's columns, what each label from 0 on is, and a
    digest of the list that items are numbered by. A run begins only where it is the same for all workers."""

    features: Sequence[str] = ()
    classes: Sequence[str] = ()
    vocabulary: str = ""


@dataclass(frozen=True)
class CentralData:
    """One set that a partition deals out: a training half, a test half, named columns (one value a training row) to deal by, and what its numbers mean."""

    train: Examples
    test: Examples | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    meaning: Meaning = Meaning()


def as_they_are(client: str, examples: Examples) -> Examples:
    """A client sees its examples as they are."""
    return examples


@dataclass(frozen=True)
class Deal:
    """What a partition may give in place of bare rows: training rows by client name, how a client sees its examples (applied whenever they are opened; as
    many rows, the same every time), and in words what is particular to a client."""

    rows: Mapping[str, np.ndarray]
    view: Callable[[str, Examples], Examples] = as_they_are
    note: Callable[[str], str] = lambda client: ""


@dataclass(frozen=True)
class FederatedData:
    """Examples that lie with their clients: names in sorted order, their sizes in the same order, a function that opens one client's examples, one that
    opens the test set, what there is to say of a client, and what the numbers mean."""

    clients: Sequence[str]
    sizes: Sequence[int]
    open: Callable[[str], Examples]
    test: Callable[[], Examples | None] = lambda: None
    note: Callable[[str], str] = lambda client: ""
    meaning: Meaning = Meaning()


@dataclass(frozen=True)
class RoundState:
    """What a round starts from: the round's number, the weights, and the server's memory (momentum, control variates, …)."""

    round: int
    weights: Weights
    memory: Weights = field(default_factory=dict)

    def next(self, weights: Weights | None = None, memory: Weights | None = None) -> "RoundState":
        """The state of the next round; what is not given stays as it is. Weights and memory keep the dtypes of this state's."""
        return RoundState(self.round + 1, _cast(weights, self.weights), _cast(memory, self.memory))


def _cast(values: Weights | None, like: Weights) -> Weights:
    """The values in the dtypes of `like`; `like` itself where there are none. A name that `like` lacks keeps its dtype."""
    if values is None:
        return like
    return {name: np.asarray(value).astype(like[name].dtype, copy=False) if name in like else np.asarray(value) for name, value in values.items()}


@dataclass(frozen=True)
class ClientUpdate:
    """What one client gives back: how far each weight moved, how much that counts, and figures of its training."""

    move: Weights
    weight: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelUpdate:
    """What the replies of one exchange amount to.

    Form `sum`: `total` holds exact int64 sums of move * weight and `weight` the exact sum of the weights, in the same unit, so that any order
    and grouping of clients gives the same bits. Form `list`: `moves` and `weights` keep the clients apart, in sorted order of their names.
    `population` is how many clients the federation has, whether they took part or not; `staleness` how many rounds each client's state was old, where
    arrivals are measured.
    """

    form: Form
    clients: tuple[str, ...]
    total: Weights = field(default_factory=dict)
    weight: int = 0
    moves: Mapping[str, Weights] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    population: int = 0
    staleness: Mapping[str, int] = field(default_factory=dict)

    def mean(self) -> Weights:
        """The weighted mean of the moves, float64; of form `sum`, the one division that the exact sums ever see."""
        if self.form == "list":
            whole = sum(self.weights.values())
            parts = [(self.moves[client], self.weights[client] / whole) for client in self.clients]
            return {name: _weighted_sum([(move[name], share) for move, share in parts]) for name in parts[0][0]}
        return {name: np.divide(total, float(self.weight)) for name, total in self.total.items()}


def _weighted_sum(parts: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    total = np.zeros(np.shape(parts[0][0]), np.float64)
    for value, share in parts:
        total += value.astype(np.float64) * share
    return total


@dataclass(frozen=True)
class Task:
    """A worker's part of one round: clients that are trained, tried again and left out one by one."""

    round: int
    exchange: str
    worker: str
    part: int
    clients: tuple[str, ...]


@dataclass(frozen=True)
class LocalWork:
    """How much a client trains: whole epochs, or exactly `steps` batches where given; a last, smaller batch of an epoch counts as one."""

    epochs: int = 1
    steps: int | None = None
    batch_size: int = 10
    shuffle: bool = True


@dataclass(frozen=True)
class Correction:
    """What is added to each gradient before the optimizer sees it: `pull * (weights - towards) + shift`.

    One shape serves FedProx (pull and towards), SCAFFOLD (shift), FedDyn (all three) and Ditto. Names absent from `towards` or `shift` are left alone.
    """

    pull: float = 0.0
    towards: Weights = field(default_factory=dict)
    shift: Weights = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What local training gave: the move (weights after minus before), examples held, steps done, and mean figures over the steps."""

    move: Weights
    examples: int
    steps: int
    metrics: Mapping[str, float] = field(default_factory=dict)


class Fit(Protocol):
    """Trains one client's model from the given weights; the same arguments give the same bits."""

    def __call__(self, weights: Weights, work: LocalWork, correction: Correction | None = None) -> Trained: ...


@dataclass(frozen=True)
class Client:
    """What a strategy sees of a client while it takes part.

    name, examples   who it is and how many examples it trains on
    fit              trains its model
    learning_rate    of its local optimizer in this round
    trainable        the names of the weights that gradients move; the others are buffers, or frozen
    loss             the mean loss of given weights over its training examples
    seed             of whatever the strategy draws for this client in this round; never for noise that protects people
    staleness        how many rounds older than the round's the state is that it starts from; 0 but in asynchronous strategies
    """

    name: str
    examples: int
    fit: Fit
    learning_rate: float = 0.0
    trainable: frozenset[str] = frozenset()
    loss: Callable[[Weights], float] = lambda weights: math.nan
    seed: int = 0
    staleness: int = 0
