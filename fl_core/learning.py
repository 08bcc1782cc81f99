"""Local training and evaluation in Paddle: the one file that imports it (with the programs).

Built once a process: one model, whose weights are swapped for each client. Every source of randomness is seeded for each fit, so that a fit gives the
same bits in any process at the same numerics.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import paddle

from fl_core.errors import InputError, did_you_mean
from fl_core.job import Optimizer
from fl_core.numerics import describe_processor
from fl_core.program import Program
from fl_core.types import Correction, Examples, LocalWork, Trained, Weights

EVALUATION_BATCH = 512
REFUSED_OPTIMIZERS = {"Dpsgd": "it gives no differential privacy"}


def numerics() -> dict[str, Any]:
    """What the bits depend on besides the job: library, threads, processor."""
    return {"paddle": paddle.__version__, **describe_processor()}


def known_optimizers() -> list[str]:
    return [name for name in paddle.optimizer.__all__ if name not in (*REFUSED_OPTIMIZERS, "Optimizer")]


@dataclass(frozen=True)
class Sums:
    """Metrics of some examples as sums, so that parts add up: name -> sum of (batch mean * batch size), and the number of examples."""

    sums: Mapping[str, float]
    examples: int


class Learner:
    """One model in one process. It has state because building a model costs more than training a small client."""

    def __init__(self, program: Program, optimizer: Optimizer, seed: int) -> None:
        """Builds the model with the seed; InputError where the user's model or optimizer cannot be built."""
        self._program = program
        paddle.seed(seed)
        with paddle.utils.unique_name.guard():  # type: ignore[no-untyped-call]
            try:
                self._net = program.model()
            except Exception as error:
                raise InputError(f"The program's model cannot be built: {type(error).__name__}: {error}.") from error
        self._tensors: dict[str, Any] = dict(self._net.state_dict())
        self._parameters = [p for p in self._net.parameters() if not p.stop_gradient]
        names = {id(tensor): name for name, tensor in self._tensors.items()}
        self._trainable = {names[id(p)]: p for p in self._parameters}
        self._make_optimizer = _optimizer_maker(program, optimizer)
        self._keep = optimizer.state == "keep"
        self.learning_rate = float(self._make_optimizer(self._parameters).get_lr())

    @property
    def trainable(self) -> frozenset[str]:
        """The names of the weights that gradients move; the others are buffers or frozen."""
        return frozenset(self._trainable)

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of the model's weights, buffers included."""
        return {name: np.array(tensor.numpy()) for name, tensor in self._tensors.items()}

    def _load(self, weights: Weights) -> None:
        for name, tensor in self._tensors.items():
            tensor.set_value(weights[name])

    def fit(
        self, weights: Weights, examples: Examples, work: LocalWork, seed: int, correction: Correction | None = None, optimizer_state: Weights | None = None
    ) -> tuple[Trained, Weights]:
        """Trains from the weights; gives the move and, where the job keeps it, the optimizer's state after."""
        self._load(weights)
        paddle.seed(seed)
        self._net.train()
        optimizer = self._make_optimizer(self._parameters)
        if self._keep and optimizer_state:
            _set_state(optimizer, optimizer_state)
        correct = self._corrector(correction) if correction else None
        losses: list[Any] = []
        seen = 0
        for batch in self._batches(examples, work, np.random.Generator(np.random.PCG64(seed))):
            losses.append(self._step(optimizer, batch, correct))
            seen += len(batch[0])
        if not losses:
            raise InputError("The program's batches yielded nothing to train on.")
        after = self.weights()
        move = {name: after[name] - np.asarray(weights[name]) for name in after}
        metrics = {"loss": float(np.mean([float(loss) for loss in losses])), "seen": float(seen)}
        return Trained(move, len(examples), len(losses), metrics), _get_state(optimizer) if self._keep else {}

    def _step(self, optimizer: Any, batch: tuple[Any, Any], correct: Any) -> Any:
        if isinstance(optimizer, paddle.optimizer.LBFGS):
            return optimizer.step(lambda: self._gradients(batch, correct))
        loss = self._gradients(batch, correct)
        optimizer.step()
        optimizer.clear_grad()
        return loss

    def _gradients(self, batch: tuple[Any, Any], correct: Any) -> Any:
        loss = self._program.loss(self._net, batch)
        loss.backward()
        if correct is not None:
            correct()
        return loss.detach()

    def _batches(self, examples: Examples, work: LocalWork, random: np.random.Generator) -> Iterator[tuple[Any, Any]]:
        if self._program.batches is not None:
            for x, y in self._program.batches(examples, work, random):
                yield paddle.to_tensor(x), paddle.to_tensor(y)
            return
        steps = work.steps if work.steps is not None else work.epochs * -(-len(examples) // work.batch_size)
        while steps > 0:
            rows = random.permutation(len(examples)) if work.shuffle else np.arange(len(examples))
            x, y = paddle.to_tensor(examples.x[rows]), paddle.to_tensor(examples.y[rows])
            for start in range(0, len(examples), work.batch_size):
                yield x[start : start + work.batch_size], y[start : start + work.batch_size]
                steps -= 1
                if not steps:
                    return

    def _corrector(self, correction: Correction) -> Any:
        towards = {name: paddle.to_tensor(value) for name, value in correction.towards.items() if name in self._trainable}
        shift = {name: paddle.to_tensor(value) for name, value in correction.shift.items() if name in self._trainable}

        @paddle.no_grad()  # type: ignore[untyped-decorator]
        def correct() -> None:
            for name, parameter in self._trainable.items():
                if parameter.grad is None:
                    continue
                if name in towards:
                    parameter.grad.add_((parameter - towards[name]) * correction.pull)
                if name in shift:
                    parameter.grad.add_(shift[name])

        return correct

    def evaluate(self, weights: Weights, examples: Examples) -> Sums:
        """The program's metrics (its loss where it has none) over the examples, in batches of fixed size and order."""
        self._load(weights)
        self._net.eval()
        measure = self._program.metrics or (lambda net, batch: {"loss": self._program.loss(net, batch)})
        sums: dict[str, float] = {}
        with paddle.no_grad():
            for start in range(0, len(examples), EVALUATION_BATCH):
                part = examples.take(slice(start, start + EVALUATION_BATCH))
                for name, value in measure(self._net, (paddle.to_tensor(part.x), paddle.to_tensor(part.y))).items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(part)
        return Sums(sums, len(examples))

    def loss(self, weights: Weights, examples: Examples) -> float:
        """The program's mean loss over the examples, in batches of fixed size and order, without training."""
        self._load(weights)
        self._net.eval()
        work = LocalWork(epochs=1, batch_size=EVALUATION_BATCH, shuffle=False)
        total, seen = 0.0, 0
        with paddle.no_grad():
            for x, y in self._batches(examples, work, np.random.Generator(np.random.PCG64(0))):
                total += float(self._program.loss(self._net, (x, y))) * len(x)
                seen += len(x)
        return total / seen

    def rehearse(self, examples: Examples) -> None:
        """Tries loss and metrics on a few examples; InputError where the program does not fit the data."""
        batch = examples.take(slice(0, 2))
        x, y = paddle.to_tensor(batch.x), paddle.to_tensor(batch.y)
        self._net.eval()
        for what, function in {"loss": self._program.loss, "metrics": self._program.metrics}.items():
            if function is None or self._program.batches is not None:
                continue
            try:
                result: Any = function(self._net, (x, y))
                values = list(result.values()) if what == "metrics" else [result]
                if any(np.size(np.asarray(value)) != 1 for value in values):
                    raise ValueError("it gives something that is no scalar")
            except Exception as error:
                first = str(error).strip().splitlines()[-1] if str(error).strip() else "no message"
                raise InputError(
                    f"The program's {what} fails on a batch of x {tuple(x.shape)} and y {tuple(y.shape)}: {type(error).__name__}: {first}."
                ) from error


def _optimizer_maker(program: Program, settings: Optimizer) -> Any:
    if settings.name is None:
        if program.optimizer is None:
            raise InputError("optimizer.name is missing and the program brings no optimizer; name one, such as SGD.")
        return program.optimizer
    if settings.name in REFUSED_OPTIMIZERS:
        raise InputError(f"optimizer.name is '{settings.name}', which is refused: {REFUSED_OPTIMIZERS[settings.name]}.")
    if settings.name not in known_optimizers():
        raise InputError(f"Paddle has no optimizer '{settings.name}'; {did_you_mean(settings.name, known_optimizers())}")
    optimizer = getattr(paddle.optimizer, settings.name)

    def make(parameters: Sequence[Any]) -> Any:
        try:
            with paddle.utils.unique_name.guard():  # type: ignore[no-untyped-call]
                return optimizer(parameters=parameters, **settings.options)
        except Exception as error:
            raise InputError(f"The optimizer '{settings.name}' does not take {settings.options}: {error}.") from error

    return make


def _get_state(optimizer: Any) -> dict[str, np.ndarray]:
    return {name: np.array(value.numpy()) for name, value in optimizer.state_dict().items() if hasattr(value, "numpy")}


def _set_state(optimizer: Any, state: Weights) -> None:
    optimizer.set_state_dict({name: paddle.to_tensor(value) for name, value in state.items()})
