"""User-Defined-Program: a model, its loss, its optimizer and its metrics, as four functions. This file does not import Paddle; the functions do."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fl_core.errors import InputError, did_you_mean
from fl_core.job import Job
from fl_core.reference import FOLDERS, module_of
from fl_core.types import Examples

if TYPE_CHECKING:
    import paddle

Batch = tuple[Any, Any]
Direction = Literal["higher", "lower"]
KNOWN_DIRECTIONS: Mapping[str, Direction] = {
    "loss": "lower", "error": "lower", "perplexity": "lower", "mse": "lower", "mae": "lower",
    "accuracy": "higher", "auc": "higher", "recall": "higher", "precision": "higher", "f1": "higher", "mrr": "higher", "r2": "higher",
}  # fmt: skip


def rows_of(y: Any) -> int:
    """The rows of an array or tensor; a tensor's own `len` costs twenty times as much."""
    return int(y.shape[0])


@dataclass(frozen=True)
class Program:
    """What is trained. A batch is (x, y), two tensors with equal first dimensions.

    model      () -> paddle.nn.Layer                          built once a process; buffers such as batch-norm statistics take part
    loss       (net, (x, y)) -> scalar tensor                 the mean over the batch
    optimizer  (parameters) -> paddle.optimizer.Optimizer     used where the job names none
    metrics    (net, (x, y)) -> {name: scalar}                means over the batch; evaluation weighs batches by their cases
    better     {name: "higher" | "lower"}                     for metrics whose name does not tell
    batches    (examples, work, random) -> iterator of (x, y) where the usual shuffled slices will not do (sessions, pairs)
    cases      (y) -> int                                     how many cases a batch's loss and metrics are means over, where that is not its rows
    functional ({name: tensor}, (x, y)) -> scalar tensor      the same loss as a function of the trainable weights, by the names of the model's state_dict;
                                                              faster for small models, because no layer is called
    together   ({name: (K, …)}, (x (K, B, …), y (K, B))) -> losses (K, B)   of each example under its own client's weights; `engine: batched` needs it
    """

    model: Callable[[], "paddle.nn.Layer"]
    loss: Callable[[Any, Batch], Any]
    optimizer: Callable[[Sequence[Any]], Any] | None = None
    metrics: Callable[[Any, Batch], Mapping[str, Any]] | None = None
    better: Mapping[str, Direction] = field(default_factory=dict)
    batches: Callable[[Examples, Any, np.random.Generator], Iterator[tuple[np.ndarray, np.ndarray]]] | None = None
    cases: Callable[[Any], int] = rows_of
    functional: Callable[[Mapping[str, Any], Batch], Any] | None = None
    together: Callable[[Mapping[str, Any], Batch], Any] | None = None

    def direction(self, metric: str) -> Direction:
        """Whether more or less of a metric is better; InputError where nobody said."""
        direction = self.better.get(metric) or direction_of(metric)
        if direction is None:
            raise InputError(f"Nobody said whether '{metric}' is better higher or lower; add it to the program's `better`, such as {{'{metric}': 'higher'}}.")
        return direction


def direction_of(metric: str) -> Direction | None:
    """The direction that a metric's name tells, such as `accuracy` or `recall_at_20`."""
    return next((d for name, d in KNOWN_DIRECTIONS.items() if metric == name or metric.startswith(f"{name}_") or metric.endswith(f"_{name}")), None)


def load_program(job: Job) -> Program:
    """The job's program; a function that returns one is called with the program's options."""
    found = job.resolve("program", job.program.name)
    if not isinstance(found, Program):
        found = job.build("program", job.program)
    elif job.program.options:
        option = min(job.program.options)
        raise InputError(f"program.{option} is not an option of '{job.program.name}', which is a ready Program; leave it out.")
    if not isinstance(found, Program):
        raise InputError(f"The program '{job.program.name}' gives {type(found).__name__}; it is an fl_core.program.Program, or a function that returns one.")
    for part in ("model", "loss"):
        if not callable(getattr(found, part)):
            raise InputError(f"The program '{job.program.name}' has no {part}; it is a function of the program.")
    return found


def check_fits(job: Job, card: Mapping[str, Any]) -> None:
    """InputError where options of a ready-made program speak of other data than a worker's card; what any other program makes of them it knows alone."""
    builder = job.resolve("program", job.program.name)
    if (module_of("program", job.program.name) or "").rpartition(".")[0] != FOLDERS["program"] or isinstance(builder, Program):
        return
    options = {name: parameter.default for name, parameter in signature(builder).parameters.items()} | job.program.options
    features, labels = prod(card["x"]["shape"]), card["y"].get("range")
    if options.get("features", features) != features:
        raise InputError(f"program.features is {options['features']}, but the data have {features}; set it to {features}.")
    if "classes" in options and labels and "int" in card["y"]["dtype"] and not 0 <= labels[0] <= labels[1] < options["classes"]:
        classes = options["classes"]
        raise InputError(f"program.classes is {classes}, so that labels go from 0 to {classes - 1}, but the data have labels from {labels[0]} to {labels[1]}.")


def check_metric(name: str, known: Collection[str]) -> None:
    """InputError where the program does not measure what the job asks for."""
    if name not in known:
        raise InputError(f"stop_when.{name} is nothing that the program measures; {did_you_mean(name, known)}")
