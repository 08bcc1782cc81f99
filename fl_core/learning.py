"""Local training and evaluation in Paddle: the one file that imports it (with the programs).

Built once a process: one model, whose weights are swapped for each client. Every source of randomness is seeded for each fit, so that a fit gives the
same bits in any process at the same numerics.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import paddle

from fl_core.errors import InputError, did_you_mean
from fl_core.model_memory import ModelMemory
from fl_core.numerics import describe_processor
from fl_core.paddle_private import Step, is_plain_sgd, quick_calls, sgd_step
from fl_core.program import Program
from fl_core.section import Optimizer
from fl_core.sentence import ended
from fl_core.types import Correction, Examples, LocalWork, Trained, Weights

EVALUATION_BATCH = 512
BATCHES_AT_ONCE = 64
OneStep = Callable[[tuple[Any, Any]], np.ndarray]
REFUSED_OPTIMIZERS = {"Dpsgd": "it gives no differential privacy"}


def numerics() -> dict[str, Any]:
    """What the bits depend on besides the job: library, threads, processor."""
    return {"paddle": paddle.__version__, **describe_processor()}


def known_optimizers() -> list[str]:
    return [name for name in paddle.optimizer.__all__ if name not in (*REFUSED_OPTIMIZERS, "Optimizer")]


@dataclass(frozen=True)
class Sums:
    """Metrics of some examples as sums, so that parts add up: name -> sum of (batch mean * batch's cases), and the number of cases."""

    sums: Mapping[str, float]
    examples: int


class Learner:
    """One model in one process. It has state because building a model costs more than training a small client."""

    def __init__(self, program: Program, optimizer: Optimizer, seed: int) -> None:
        """Builds the model with the seed; InputError where the user's model or optimizer cannot be built."""
        self._program = program
        paddle.seed(seed)
        with paddle.utils.unique_name.guard():
            try:
                self._net = program.model()
            except Exception as error:
                raise InputError(f"The program's model cannot be built: {type(error).__name__}: {_said(error)}") from error
        if not isinstance(self._net, paddle.nn.Layer):
            raise InputError(f"The program's model gives {type(self._net).__name__}; it is a function that returns a paddle.nn.Layer.")
        tensors = _tensors_of(self._net)
        self._parameters = [p for p in self._net.parameters() if not p.stop_gradient]
        names = {id(tensor): name for name, tensor in tensors.items()}
        self._trainable = {names[id(p)]: p for p in self._parameters}
        self._has_buffers = len(tensors) > len(self._net.parameters())
        self._memory = ModelMemory(tensors)
        self._settings = optimizer
        self._make_optimizer = _optimizer_maker(program, optimizer)
        self._keep = optimizer.state == "keep"
        self._kept_step: tuple[float, Step | None] | None = None
        first = self._make_optimizer(self._parameters)
        if self._keep and isinstance(first, paddle.optimizer.LBFGS):
            raise InputError("optimizer.state is 'keep', but LBFGS has no state that could be stored; set it to 'reset'.")
        self.learning_rate = _rate(first)

    @property
    def trainable(self) -> frozenset[str]:
        """The names of the weights that gradients move; the others are buffers or frozen."""
        return frozenset(self._trainable)

    @property
    def is_plain_sgd(self) -> bool:
        """Whether each step is `weights - learning_rate * gradient` and no more, for every weight of the model."""
        return is_plain_sgd(self._make_optimizer(self._parameters), self._parameters) and len(self._parameters) == len(self._memory.tensors)

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of the model's weights, buffers included."""
        return self._memory.copy()

    def fit(
        self,
        weights: Weights,
        examples: Examples,
        work: LocalWork,
        seed: int,
        correction: Correction | None = None,
        optimizer_state: Weights | None = None,
        rate_factor: float = 1.0,
    ) -> tuple[Trained, Weights]:
        """Trains from the weights, at `rate_factor` times the learning rate; gives the move and, where the job keeps it, the optimizer's state after."""
        self._memory.load(weights)
        paddle.seed(seed)
        self._net.train()
        step, state_after = self._stepper(correction, optimizer_state, rate_factor)
        losses: list[Any] = []
        seen = 0
        # An optimizer names its state when it first steps; counted anew for each fit, the names are those that a kept state has.
        with paddle.utils.unique_name.guard(), quick_calls():
            for batch in self._batches(examples, work, np.random.Generator(np.random.PCG64(seed))):
                losses.append(step(batch))
                seen += self._program.cases(batch[1])
        if not losses:
            raise InputError("The program's batches yielded nothing to train on.")
        self._look_again()
        metrics = {"loss": float(np.mean(losses, dtype=np.float64)), "seen": float(seen)}
        return Trained(self._memory.move_since(weights), len(examples), len(losses), metrics), state_after()

    def _look_again(self) -> None:
        """A forward pass may put a new tensor in a buffer's place."""
        if self._has_buffers:
            self._memory = ModelMemory(_tensors_of(self._net))

    def _stepper(self, correction: Correction | None, optimizer_state: Weights | None, rate_factor: float) -> tuple[OneStep, Callable[[], Weights]]:
        """A function that trains on one batch and gives its loss, and one that gives the optimizer's state after: the private step where it does the same
        as Paddle's public loop, else that loop."""
        loss_of = self._loss_of()
        plain = None if correction else self._plain_step(rate_factor)
        if plain is not None:
            return lambda batch: plain(loss_of(batch)), dict
        optimizer = self._make_optimizer(self._parameters, rate_factor)
        if self._keep and optimizer_state:
            _set_state(optimizer, optimizer_state)
        return self._public_step(optimizer, loss_of, correction), lambda: _get_state(optimizer) if self._keep else {}

    def _plain_step(self, rate_factor: float) -> Step | None:
        """The private step at this rate, None where the optimizer is no plain SGD; kept, because to make it for each client costs as much as a step."""
        if self._kept_step is None or self._kept_step[0] != rate_factor:
            self._kept_step = rate_factor, sgd_step(self._make_optimizer(self._parameters, rate_factor), self._parameters)
        return self._kept_step[1]

    def _public_step(self, optimizer: Any, loss_of: Callable[[tuple[Any, Any]], Any], correction: Correction | None) -> OneStep:
        correct = self._corrector(correction) if correction else lambda: None

        def gradients(batch: tuple[Any, Any]) -> Any:
            loss = loss_of(batch)
            loss.backward()
            correct()
            return loss

        def anew(batch: tuple[Any, Any]) -> Any:
            optimizer.clear_grad()  # LBFGS asks several times a step
            return gradients(batch)

        def step(batch: tuple[Any, Any]) -> Any:
            if isinstance(optimizer, paddle.optimizer.LBFGS):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # Paddle warns of its own code
                    loss = optimizer.step(lambda: anew(batch))
            else:
                loss = gradients(batch)
                optimizer.step()
            optimizer.clear_grad()
            return loss.numpy()

        return step

    def _loss_of(self) -> Callable[[tuple[Any, Any]], Any]:
        """The program's loss of a batch: of its functional form where it offers one, else of its layers."""
        functional, loss, net, tensors = self._program.functional, self._program.loss, self._net, self._memory.tensors
        return (lambda batch: functional(tensors, batch)) if functional else lambda batch: loss(net, batch)

    def _batches(self, examples: Examples, work: LocalWork, random: np.random.Generator) -> Iterator[tuple[Any, Any]]:
        """The batches of a fit: each epoch in an order of its own, gathered some at a time from the client's arrays."""
        if self._program.batches is not None:
            for given in self._program.batches(examples, work, random):
                yield paddle.to_tensor(given[0]), paddle.to_tensor(given[1])
            return
        x, y = _rows(examples.x), _rows(examples.y)
        steps = work.steps if work.steps is not None else work.epochs * -(-len(examples) // work.batch_size)
        at_once = work.batch_size * BATCHES_AT_ONCE
        while steps > 0:
            rows = random.permutation(len(examples)) if work.shuffle else np.arange(len(examples))
            for start in range(0, len(rows), at_once):
                chosen = paddle.to_tensor(rows[start : start + at_once])
                for batch in zip(_cut(x(chosen), work.batch_size), _cut(y(chosen), work.batch_size), strict=True):
                    if steps > 0:
                        yield batch
                        steps -= 1

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
        self._memory.load(weights)
        self._net.eval()
        measure = self._program.metrics or (lambda net, batch: {"loss": self._program.loss(net, batch)})
        sums: dict[str, float] = {}
        cases = 0
        with paddle.no_grad():
            for start in range(0, len(examples), EVALUATION_BATCH):
                part = examples.take(slice(start, start + EVALUATION_BATCH))
                count = self._program.cases(part.y)
                cases += count
                for name, value in measure(self._net, (paddle.to_tensor(part.x), paddle.to_tensor(part.y))).items():
                    sums[name] = sums.get(name, 0.0) + float(value) * count
        return Sums(sums, cases)

    def loss(self, weights: Weights, examples: Examples) -> float:
        """The program's mean loss over the examples, in batches of fixed size and order, without training."""
        self._memory.load(weights)
        self._net.eval()
        work = LocalWork(epochs=1, batch_size=EVALUATION_BATCH, shuffle=False)
        total, seen = 0.0, 0
        with paddle.no_grad():
            for x, y in self._batches(examples, work, np.random.Generator(np.random.PCG64(0))):
                count = self._program.cases(y)
                total += float(self._program.loss(self._net, (x, y))) * count
                seen += count
        return total / seen

    def rehearse(self, examples: Examples) -> list[str] | None:
        """Tries loss and metrics and a step on a few examples; gives the names of what is measured, None where the program makes its own batches and only
        training can tell. InputError where the program does not fit the data or the optimizer takes no step. The weights stay as they are."""
        if self._program.batches is not None:
            self._try_step(next(self._batches(examples, LocalWork(), np.random.Generator(np.random.PCG64(0)))))
            return None
        first = examples.take(slice(0, 2))
        x, y = paddle.to_tensor(first.x), paddle.to_tensor(first.y)
        batch = f"batch of x {tuple(x.shape)} and y {tuple(y.shape)}"
        self._net.eval()
        measured = ["loss"]
        for what, verb, function in (("loss", "fails", self._program.loss), ("metrics", "fail", self._program.metrics)):
            if function is None:
                continue
            try:
                result: Any = function(self._net, (x, y))
                values = dict(result) if what == "metrics" else {"loss": result}
                sizes = {name: np.size(np.asarray(value)) for name, value in values.items()}
            except Exception as error:
                raise InputError(f"The program's {what} {verb} on a {batch}: {type(error).__name__}: {_said(error)}") from error
            odd = next((name for name, size in sizes.items() if size != 1), None)
            if odd is not None:
                raise InputError(f"The program's {odd} is {sizes[odd]} numbers on a {batch}; it is one, such as the mean.")
            measured = list(values) if what == "metrics" else measured
        self._compare_functional((x, y))
        self._try_step((x, y))
        return measured

    def _try_step(self, batch: tuple[Any, Any]) -> None:
        """InputError where no step can be taken: an optimizer looks at most of its options only then."""
        before = self.weights()
        self._net.train()
        try:
            with paddle.utils.unique_name.guard(), quick_calls():
                self._stepper(None, None, 1.0)[0](batch)
        except Exception as error:
            what = f"the optimizer '{self._settings.name}' with {self._settings.options}" if self._settings.name else "the program's optimizer"
            raise InputError(f"A step by {what} fails: {type(error).__name__}: {_said(error)}") from error
        self._look_again()
        self._memory.load(before)

    def _compare_functional(self, batch: tuple[Any, Any]) -> None:
        """InputError where the program's functional form gives another loss than its layers do while they train."""
        if self._program.functional is None:
            return
        self._net.train()
        with paddle.no_grad():
            found, wanted = float(self._loss_of()(batch)), float(self._program.loss(self._net, batch))
        if not np.isclose(found, wanted, rtol=1e-4, equal_nan=True):
            raise InputError(f"The program's functional form gives {found:.6g}, which differs from its loss, {wanted:.6g}; mend it or leave it out.")


def _tensors_of(net: Any) -> dict[str, Any]:
    """The model's tensors, each under the first of its names: Paddle's recurrent layers and shared weights have several."""
    return {names[0]: tensor for tensor, names in _named(net)}


def _named(net: Any) -> list[tuple[Any, list[str]]]:
    """The model's tensors, each with all of its names in a state dict."""
    found: dict[int, tuple[Any, list[str]]] = {}
    for name, tensor in net.state_dict().items():
        found.setdefault(id(tensor), (tensor, []))[1].append(name)
    return list(found.values())


def _state_dict(net: Any, weights: Weights) -> dict[str, Any]:
    """The weights under all names that plain Paddle asks for."""
    return {name: paddle.to_tensor(weights[names[0]]) for _, names in _named(net) for name in names}


def save_weights(program: Program, weights: Weights, path: str) -> None:
    """Writes a state dict that plain Paddle loads: `net.set_state_dict(paddle.load(path))`."""
    paddle.save(_state_dict(program.model(), weights), path)


def save_for_inference(program: Program, weights: Weights, path: str, x: Mapping[str, Any]) -> None:
    """Writes the model with these weights as PATH.json and PATH.pdiparams for Paddle Inference, for batches of any size of examples of a dtype and shape."""
    net = program.model()
    net.set_state_dict(_state_dict(net, weights))
    net.eval()
    try:
        paddle.jit.save(net, path, input_spec=[paddle.static.InputSpec([None, *x["shape"]], x["dtype"], "x")])
    except Exception as error:
        raise InputError(f"The program's model cannot be exported for Paddle Inference: {type(error).__name__}: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What an error says, on one line; Paddle's own sentence where it comes with hints and a place in its source."""
    lines = [re.sub(r" \(at \S+:\d+\)$", "", line.rstrip()) for line in str(error).splitlines() if line.strip()]
    own = next((found[1] for line in lines if (found := re.match(r"\(\w+\) (.*)", line))), None)
    return ended(own or (lines[0] if lines else "no message"))


def _rows(values: np.ndarray) -> Callable[[Any], Any]:
    """A function that gathers rows of the values; Paddle reads them where they lie, unless it cannot gather them or may not share them."""
    if values.dtype == np.float16 or not values.flags.c_contiguous or not values.flags.writeable:
        return lambda rows: paddle.to_tensor(values[rows.numpy()])
    whole = paddle.utils.dlpack.from_dlpack(values)
    return lambda rows: paddle.gather(whole, rows)


def _cut(rows: Any, size: int) -> list[Any]:
    """Parts of `size` rows, the last of what is left; the whole ones are views of one tensor, which is cheaper than to split it."""
    whole, left = divmod(rows.shape[0], size)
    if not whole:
        return [rows]
    parts = list(paddle.unbind((rows[:-left] if left else rows).reshape([whole, size, *rows.shape[1:]])))
    return [*parts, rows[-left:]] if left else parts


def _optimizer_maker(program: Program, settings: Optimizer) -> Any:
    if settings.name is None:
        if program.optimizer is None:
            raise InputError("optimizer.name is missing and the program brings no optimizer; name one, such as SGD.")
        own = program.optimizer
        return lambda parameters, factor=1.0: _scaled(own(parameters), factor)
    if settings.name in REFUSED_OPTIMIZERS:
        raise InputError(f"optimizer.name is '{settings.name}', which is refused, because {REFUSED_OPTIMIZERS[settings.name]}; take another, such as SGD.")
    if settings.name not in known_optimizers():
        raise InputError(f"optimizer.name is '{settings.name}', which Paddle does not have; {did_you_mean(settings.name, known_optimizers())}")
    optimizer = getattr(paddle.optimizer, settings.name)
    known = set(inspect.signature(optimizer).parameters) - {"parameters", "name"}
    unknown = min(set(settings.options) - known, default=None)
    if unknown is not None:
        raise InputError(f"optimizer.{unknown} is not an option of '{settings.name}'; {did_you_mean(unknown, known)}")

    def make(parameters: Sequence[Any], factor: float = 1.0) -> Any:
        options = settings.options
        if factor != 1.0:
            options["learning_rate"] = factor * options.get("learning_rate", inspect.signature(optimizer).parameters["learning_rate"].default)
        try:
            with paddle.utils.unique_name.guard():
                return optimizer(parameters=parameters, **options)
        except Exception as error:
            raise InputError(f"The optimizer '{settings.name}' does not take {settings.options}: {_said(error)}") from error

    return make


def _rate(optimizer: Any) -> float:
    """The learning rate; LBFGS has one of its own beside the one that all optimizers have."""
    return float(optimizer.learning_rate if isinstance(optimizer, paddle.optimizer.LBFGS) else optimizer.get_lr())


def _scaled(optimizer: Any, factor: float) -> Any:
    """The program's own optimizer at so many times its learning rate; InputError where it cannot be set."""
    if factor == 1.0:
        return optimizer
    if isinstance(optimizer, paddle.optimizer.LBFGS | paddle.optimizer.Rprop):
        raise InputError(f"optimizer.schedule cannot slow a {type(optimizer).__name__} that the program makes; name it under `optimizer` in the job.")
    try:
        optimizer.set_lr(_rate(optimizer) * factor)
    except RuntimeError as error:
        raise InputError("optimizer.schedule is set, but the program's optimizer has a learning-rate schedule of its own; keep one of the two.") from error
    return optimizer


def _get_state(optimizer: Any) -> dict[str, np.ndarray]:
    return {name: np.array(value.numpy()) for name, value in optimizer.state_dict().items() if hasattr(value, "numpy")}


def _set_state(optimizer: Any, state: Weights) -> None:
    optimizer.set_state_dict({name: paddle.to_tensor(value) for name, value in state.items()})
