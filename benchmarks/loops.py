"""Training loops as one would write them around a program without a federation: over the same examples, in the same batches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle

from fl_core.federation import open_household
from fl_core.job import parse_bundle
from fl_core.paddle_private import quick_calls
from fl_core.program import load_program
from fl_core.types import Examples


@dataclass(frozen=True)
class Opened:
    """A model, its loss, each client's examples as tensors, and how they are trained on."""

    net: Any
    loss: Callable[[Any, Any], Any]
    functional: Callable[[Any, Any], Any] | None
    clients: list[tuple[Any, Any]]
    batch_size: int
    learning_rate: float


def open_loop(bundle: str) -> Opened:
    job = parse_bundle(bundle)
    program = load_program(job)
    household = open_household(job, job.workers[0].name)
    net = program.model()
    net.train()
    clients = [_tensors(household.open(client)) for client in household.clients]
    return Opened(net, program.loss, program.functional, clients, job.strategy.options["batch_size"], job.optimizer.options["learning_rate"])


def _tensors(examples: Examples) -> tuple[Any, Any]:
    return paddle.to_tensor(examples.x), paddle.to_tensor(examples.y)


def ordinary(opened: Opened) -> None:
    """What most people write: `nn.Layer`, `optimizer.SGD`, slices of a shuffled epoch."""
    net, optimizer = opened.net, paddle.optimizer.SGD(opened.learning_rate, parameters=opened.net.parameters())
    for x, y in opened.clients:
        rows = paddle.to_tensor(np.random.permutation(len(x)))
        x, y = paddle.gather(x, rows), paddle.gather(y, rows)
        for start in range(0, len(x), opened.batch_size):
            loss = opened.loss(net, (x[start : start + opened.batch_size], y[start : start + opened.batch_size]))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()


def fastest(opened: Opened) -> None:
    """The fastest loop around the same program that leaves Paddle's own functions as they are: batches cut at once, raw operators, no book-keeping."""
    parameters = [p for p in opened.net.parameters() if not p.stop_gradient]
    weights = opened.net.state_dict()
    rate = paddle.to_tensor(opened.learning_rate, dtype="float32")
    backward, sgd_ = paddle.base.core.eager.run_backward, paddle._C_ops.sgd_
    for x, y in opened.clients:
        rows = paddle.to_tensor(np.random.permutation(len(x)))
        for batch in zip(_parts(paddle.gather(x, rows), opened.batch_size), _parts(paddle.gather(y, rows), opened.batch_size), strict=True):
            loss = opened.functional(weights, batch) if opened.functional else opened.loss(opened.net, batch)
            backward([loss], [], False, "")
            for parameter in parameters:
                sgd_(parameter, rate, parameter._grad_ivar(), None, False)
                parameter.clear_gradient(False)


def patched(opened: Opened) -> None:
    """The same while the engine's quick calls stand in for two of Paddle's functions."""
    with quick_calls():
        fastest(opened)


def _parts(rows: Any, size: int) -> list[Any]:
    """Parts of `size` rows without a copy, and what is left."""
    whole, left = divmod(rows.shape[0], size)
    parts = paddle.unbind((rows[:-left] if left else rows).reshape([whole, size, *rows.shape[1:]]))
    return [*parts, rows[-left:]] if left else parts


LOOPS: dict[str, Callable[[Opened], None]] = {"ordinary": ordinary, "fastest": fastest, "patched": patched}
