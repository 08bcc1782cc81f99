"""FL-Strategy: how a round selects, exchanges and applies; a record of functions that a job names."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Literal, Protocol

import numpy as np
from pydantic_core import core_schema

from fl_core.builder import build
from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.section import Named
from fl_core.selections._devices import Devices
from fl_core.types import NOTHING, Client, ClientUpdate, Form, LocalWork, ModelUpdate, RoundState, Weights


@dataclass(frozen=True)
class Seen:
    """What a client's last accepted reply said: its round, and the figures of its training, such as `loss`."""

    round: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Draw:
    """What a selection may look at.

    round, random   the round, and its randomness
    clients, sizes  all clients in sorted order, and how many examples each holds; there may be millions, whose names are worked out when asked for
    memory          the server's
    worker_of       the worker that holds a client
    history         what was last seen of each client, worked out of the close records when it is called; a client that took no part in the last
                    100 rounds is not in it
    seed            of what is drawn once for all rounds of the run, the same in each
    in_flight       the clients that are at work since an earlier round, who cannot be drawn; nobody unless arrivals are measured
    work            how much a client trains in the round, as the strategy says
    """

    round: int
    clients: Sequence[str]
    sizes: Sequence[int]
    random: np.random.Generator
    memory: Weights = field(default_factory=dict)
    worker_of: Callable[[str], str] = lambda client: ""
    history: Callable[[], Mapping[str, Seen]] = dict
    seed: int = 0
    in_flight: Collection[str] = ()
    work: LocalWork = field(default_factory=LocalWork)


class Select(Protocol):
    """Chooses the clients of a round; an empty choice is legal and leaves the model as it is. An asynchronous strategy gives with each client the round,
    this or an earlier one, whose state it started from."""

    def __call__(self, draw: Draw) -> Sequence[str] | Mapping[str, int]: ...


class RoundSeconds(Protocol):
    """How long the round of a draw takes on simulated devices, where these clients (name: examples) take part."""

    def __call__(self, draw: Draw, sizes: Mapping[str, int]) -> float: ...


class AtWorker(Protocol):
    """One client's part of an exchange. `memory` is the client's own, private to its organisation; what is returned replaces it once the round's
    close record lists the client. `message` is what the server made of the exchange before, empty in the first."""

    def __call__(self, client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]: ...


Weigh = Literal["examples", "equally"]


def all_weights(state: RoundState) -> Weights:
    """A move of every weight of the model."""
    return state.weights


@dataclass(frozen=True)
class Exchange:
    """One trip to the workers and back.

    at_worker   one client's part
    form        how replies are kept: summed exactly, or each client's apart
    at_server   turns the replies of all but the last exchange into the next message
    expects     what a client's move looks like: an array of the right shape for every name; by default a move of each weight
    weigh       what clients weigh: at most their `examples`, or `equally` at most 1; exact sums are scaled by it
    least       the fewest clients whose replies it can merge; with fewer, a round that drew anybody is below its quorum
    """

    name: str
    at_worker: AtWorker
    form: Form = "sum"
    at_server: Callable[[RoundState, ModelUpdate], Weights] | None = None
    expects: Callable[[RoundState], Weights] = all_weights
    weigh: Weigh = "examples"
    least: int = 0


def no_memory(trainable: Weights) -> Weights:
    """The server remembers nothing but the weights."""
    return NOTHING


def zeros(trainable: Weights) -> Weights:
    """The server remembers something for each trainable weight, zero at first."""
    return {name: np.zeros_like(value) for name, value in trainable.items()}


def names_only(trainable: Weights) -> Weights:
    """The server remembers which weights are trainable, and nothing about them."""
    return {name: np.zeros(0, np.int8) for name in trainable}


def everyone(draw: Draw) -> Sequence[str]:
    return draw.clients


@dataclass(frozen=True)
class Strategy:
    """init makes the server's first memory from the first weights, those alone that gradients move (batch statistics have no momentum);
    apply turns a round's merged update into the next state. Of an asynchronous strategy, `staleness_max` is how many rounds old a state may be from
    which a client started; whoever is later is dropped. So many more states are kept, and its own `select` stands. `buffer_size` is how many replies
    close a round where arrivals are measured: `select` then says who starts in a round, and each reply counts in the round that it arrives in, with its
    staleness in the update that `apply` gets. 0: a round waits for the clients that its plan names. `work` is how much a client trains in a round, for
    who reckons its time; `round_seconds` is there where devices are simulated."""

    exchanges: tuple[Exchange, ...]
    apply: Callable[[RoundState, ModelUpdate], RoundState]
    init: Callable[[Weights], Weights] = no_memory
    select: Select = everyone
    staleness_max: int = 0
    buffer_size: int = 0
    work: LocalWork = field(default_factory=LocalWork)
    round_seconds: RoundSeconds | None = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: object) -> core_schema.CoreSchema:
        """A builder's option `around: Strategy` takes one as it is."""
        return core_schema.is_instance_schema(cls)


def load_strategy(job: Job) -> Strategy:
    """The job's strategy with the job's selection; InputError where either is wrong. Imports no Paddle unless the user's file does."""
    strategy = _build(job, job.strategy)
    return with_selection(strategy, job)


def check_waits(strategy: Strategy, name: str) -> None:
    """InputError where the strategy's rounds close by who arrives first, which takes a server and workers that run side by side."""
    if strategy.buffer_size:
        raise InputError(
            f"The strategy '{name}' measures who arrives when (arrivals: measured), which takes a server and workers side by side; run it by `fl serve` and "
            "`fl work` or in the layout live, or simulate the arrivals."
        )


def _build(job: Job, named: Named) -> Strategy:
    """The strategy of that name; one that wraps another finds it under its option `around`, by name with options of its own."""
    options, inner = named.options, {}
    if "around" in options:
        around = options.pop("around")
        if "around" not in signature(job.resolve("strategy", named.name)).parameters:
            raise InputError(f"strategy.around is not an option of '{named.name}'; only a strategy that wraps another has it.")
        if not isinstance(around, str | dict) or (isinstance(around, dict) and not isinstance(around.get("name"), str)):
            raise InputError(f"strategy.around is {around!r}; it is the name of a strategy, or a name with options.")
        inner = {"around": _build(job, Named(name=around) if isinstance(around, str) else Named(**around))}
    strategy = job.build("strategy", Named(name=named.name, **options), **inner)
    if not isinstance(strategy, Strategy):
        raise InputError(f"The strategy '{named.name}' gives {type(strategy).__name__}; it is a function that returns an fl_core.strategy.Strategy.")
    if not strategy.exchanges:
        raise InputError(f"The strategy '{named.name}' has no exchange; it needs at least one.")
    if strategy.buffer_size and len(strategy.exchanges) > 1:
        raise InputError(f"The strategy '{named.name}' measures arrivals and has {len(strategy.exchanges)} exchanges; it has one.")
    return strategy


def with_selection(strategy: Strategy, job: Job) -> Strategy:
    """The strategy with the job's selection; `everyone`, the default, leaves a selection that the strategy brings as it is."""
    named, devices = with_devices(job)
    select = job.build("selection", named)
    if not callable(select):
        raise InputError(f"The selection '{job.selection.name}' gives {type(select).__name__}; it is a function that returns a function of a Draw.")
    if strategy.staleness_max and job.selection != Named(name="everyone"):
        raise InputError(f"selection is '{job.selection.name}', but the strategy '{job.strategy.name}' says itself who arrives when; leave the selection out.")
    if devices is not None:
        strategy = replace(strategy, round_seconds=lambda draw, sizes: devices.round_seconds(sizes, draw.work))
    return strategy if job.selection.name == "everyone" else replace(strategy, select=select)


def with_devices(job: Job) -> tuple[Named, Devices | None]:
    """The job's selection as its builder takes it, and its simulated devices: those that it looks at itself, or those that stand beside one that looks at
    none and are there to be measured by. None where there are neither; a selection of the user's may mean something else by `devices`."""
    options, builder = job.selection.options, job.resolve("selection", job.selection.name)
    own = signature(builder).parameters.get("devices") if callable(builder) else None
    if own is not None and own.annotation is not Devices:
        return job.selection, None
    given = options.get("devices") if own is None else options.get("devices", own.default)
    named = job.selection if own is not None else Named(name=job.selection.name, **{key: value for key, value in options.items() if key != "devices"})
    return named, None if given is None else build(_devices, "selection", job.selection.name, {"devices": given}, {})


def _devices(devices: Devices) -> Devices:
    return devices


def why_unexpected(move: Weights, expected: Weights) -> str | None:
    """Why a client's move is not what its exchange expects, None where it is: every name, in its shape, and no other."""
    for name, value in expected.items():
        if name not in move:
            return f"its update lacks '{name}'"
        if np.shape(move[name]) != np.shape(value):
            return f"its update of '{name}' has shape {np.shape(move[name])}, not {np.shape(value)}"
    unknown = min(set(move) - set(expected), default=None)
    return None if unknown is None else f"its update has '{unknown}', which nobody asked for"


def why_not_finite(move: Weights, weight: float) -> str | None:
    """Why a move that is kept apart cannot be used (NaN, Inf, a weight below 0), None where it can."""
    if not 0 <= weight < np.inf:
        return f"its weight is {weight}"
    wrong = next((name for name, value in move.items() if not np.isfinite(value).all()), None)
    return None if wrong is None else f"'{wrong}' holds NaN or Inf"


def subtract(left: Weights, right: Weights) -> dict[str, np.ndarray]:
    return {name: left[name] - right[name] for name in left}


def add(left: Weights, right: Mapping[str, np.ndarray], scale: float = 1.0) -> dict[str, np.ndarray]:
    """left + scale * right, in the wider dtype of the two; names absent from `right` are passed on."""
    scaled = right if scale == 1.0 else {name: scale * value for name, value in right.items()}
    return {name: value + scaled[name] if name in scaled else value for name, value in left.items()}
