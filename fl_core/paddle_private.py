"""The private Paddle API that training uses, all of it, where a version of Paddle was tested with it; None stands for: take the public way.

Private functions check no arguments: a wrong one ends the process. Hence the list of versions, and a test that the bits are the same without them.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import paddle

TESTED_VERSIONS = frozenset({"3.3.1"})
LEGACY_LINEAR = "FLAGS_use_legacy_linear"
Step = Callable[[Any], float]


def sgd_step(optimizer: Any, parameters: Sequence[Any]) -> Step | None:
    """A function of a loss that takes one step: what `loss.backward(); optimizer.step(); optimizer.clear_grad()` do for plain SGD; gives the loss as a number.

    None where the optimizer does more (decay, clipping, a schedule, a parameter's own rate) or Paddle is another. 60-120 us a step are saved: the public
    way looks up the learning rate, the gradients and the settings of each parameter anew.
    """
    if paddle.__version__ not in TESTED_VERSIONS or not is_plain_sgd(optimizer, parameters):
        return None
    rate = paddle.to_tensor(optimizer.get_lr(), dtype="float32")
    run_backward, sgd_ = paddle.base.core.eager.run_backward, paddle._C_ops.sgd_

    def step(loss: Any) -> float:
        run_backward([loss], [], False, "")
        for parameter in parameters:
            gradient = parameter._grad_ivar()
            if gradient is not None:
                sgd_(parameter, rate, gradient, None, False)
                parameter.clear_gradient(False)
        return float(loss.item())

    return step


@contextmanager
def quick_flags() -> Iterator[None]:
    """Spares `paddle.nn.functional.linear` the look-up of a flag at each call, some 15 us, where it has no effect: without CUDA both of its ways are one."""
    if paddle.__version__ not in TESTED_VERSIONS or paddle.is_compiled_with_cuda():
        yield
        return
    ordinary, known = paddle.get_flags, paddle.get_flags(LEGACY_LINEAR)
    paddle.get_flags = lambda flags: known if flags == LEGACY_LINEAR else ordinary(flags)
    try:
        yield
    finally:
        paddle.get_flags = ordinary


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
