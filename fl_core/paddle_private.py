"""The private Paddle API that training uses, all of it, where a version of Paddle was tested with it; None stands for: take the public way.

Private functions check no arguments: a wrong one ends the process. Hence the list of versions, and a test that the bits are the same without them.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import paddle

TESTED_VERSIONS = frozenset({"3.3.1"})
Step = Callable[[Any], np.ndarray]


def sgd_step(optimizer: Any, parameters: Sequence[Any]) -> Step | None:
    """A function of a loss that takes one step: what `loss.backward(); optimizer.step(); optimizer.clear_grad()` do for plain SGD; gives the loss as an array.

    None where the optimizer does more (decay, clipping, a schedule, a parameter's own rate) or Paddle is another. 60-120 us a step are saved: the public
    way looks up the learning rate, the gradients and the settings of each parameter anew.
    """
    if paddle.__version__ not in TESTED_VERSIONS or not is_plain_sgd(optimizer, parameters):
        return None
    rate = paddle.to_tensor(optimizer.get_lr(), dtype="float32")
    run_backward, sgd_ = paddle.base.core.eager.run_backward, paddle._C_ops.sgd_

    def step(loss: Any) -> Any:
        run_backward([loss], [], False, "")
        for parameter in parameters:
            gradient = parameter._grad_ivar()
            if gradient is not None:
                sgd_(parameter, rate, gradient, None, False)
                parameter.clear_gradient(False)
        return loss.numpy()  # `item` costs twice as much, and a tensor that is kept takes warm memory from those that follow

    return step


@contextmanager
def quick_calls() -> Iterator[None]:
    """Spares two public functions work that has no effect, where both ways end in the same bits.

    `linear` looks a flag up at each call, some 10 us, that matters with CUDA alone; `cross_entropy` works out which labels are valid, some 8 us, and uses
    that only where classes have weights.
    """
    if paddle.__version__ not in TESTED_VERSIONS:
        yield
        return
    functional = paddle.nn.functional
    linear, cross_entropy = functional.linear, functional.cross_entropy
    functional.linear = linear if paddle.is_compiled_with_cuda() else _quick_linear(linear)
    functional.cross_entropy = _quick_cross_entropy(cross_entropy)
    try:
        yield
    finally:
        functional.linear, functional.cross_entropy = linear, cross_entropy


def _quick_linear(ordinary: Callable[..., Any]) -> Callable[..., Any]:
    operator = paddle._C_ops.linear

    def linear(x: Any, weight: Any, bias: Any = None, name: str | None = None) -> Any:
        return operator(x, weight, bias) if paddle.in_dynamic_mode() else ordinary(x, weight, bias, name)

    return linear


def _quick_cross_entropy(ordinary: Callable[..., Any]) -> Callable[..., Any]:
    """The mean of (scores, classes) by the operators that count; the ordinary function for whatever else it is called with."""
    entropy, unsqueeze, mean = paddle._C_ops.cross_entropy_with_softmax, paddle._C_ops.unsqueeze, paddle._C_ops.mean_all

    def cross_entropy(*given: Any, **options: Any) -> Any:
        if len(given) != 2 or options or not paddle.in_dynamic_mode():
            return ordinary(*given, **options)
        scores, classes = given
        if classes.ndim != scores.ndim - 1 or 0 in scores.shape:
            return ordinary(scores, classes)
        return mean(entropy(scores, unsqueeze(classes, [-1]), False, True, True, -100, -1)[1])

    return cross_entropy


def is_plain_sgd(optimizer: Any, parameters: Sequence[Any]) -> bool:
    """Whether the optimizer is SGD with a fixed learning rate, and no decay, clipping or rate of a parameter's own."""
    return (
        type(optimizer) is paddle.optimizer.SGD
        and isinstance(optimizer._learning_rate, float)
        and optimizer._grad_clip is None
        and optimizer.regularization is None
        and [id(p) for p in optimizer._parameter_list or ()] == [id(p) for p in parameters]
        and all(not isinstance(p, dict) and p.dtype == paddle.float32 and p.regularizer is None for p in parameters)
        and all(p.optimize_attr["learning_rate"] == 1.0 for p in parameters)
    )
