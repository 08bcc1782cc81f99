"""`python -m benchmarks.convolution`: public ways to compute LEAF's convolutions, forward and backward, in turn. A look, not a claim."""

import os
import sys
import time

from benchmarks.harness import in_turn, ratio
from fl_core.numerics import training_environment

MARK = "FL_BENCH_CONVOLUTION"


def main() -> None:
    """Starts itself anew with the environment of a training process, then measures."""
    if MARK not in os.environ:
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.convolution"], training_environment({**os.environ, MARK: "1"}))
    import paddle
    from paddle.nn import functional as F

    def measured(forward, *inputs):  # type: ignore[no-untyped-def]
        def call() -> float:
            start = time.process_time()
            for _ in range(4):
                forward(*inputs).sum().backward()
                for value in inputs:
                    value.clear_gradient()
            return time.process_time() - start

        return call

    def leaf(shape: list[int]):  # type: ignore[no-untyped-def]
        value = paddle.randn(shape)
        value.stop_gradient = False
        return value

    def unfolded(x, w):  # type: ignore[no-untyped-def]
        return paddle.matmul(w.flatten(1), F.unfold(x, 5, paddings=2))

    def shifted(x, w):  # type: ignore[no-untyped-def]
        """25 dense products over shifted images whose channels lie innermost."""
        padded = F.pad(x, [2, 2, 2, 2], data_format="NHWC")
        return sum(padded[:, i : i + 14, j : j + 14] @ w[i, j] for i in range(5) for j in range(5))

    def spread_bias(x, b):  # type: ignore[no-untyped-def]
        return x + b.reshape([1, -1, 1, 1]).expand(x.shape)

    x, w, b = leaf([10, 32, 14, 14]), leaf([64, 32, 5, 5]), leaf([64])
    first, first_w, first_b = paddle.randn([10, 1, 28, 28]), leaf([32, 1, 5, 5]), leaf([32])
    last, taps = leaf([10, 14, 14, 32]), leaf([5, 5, 32, 64])
    ways = {
        "NCHW": measured(lambda x, w: F.conv2d(x, w, padding=2), x, w),
        "NHWC": measured(lambda x, w: F.conv2d(x, w, padding=2, data_format="NHWC"), last, w),
        "unfold and matmul": measured(unfolded, x, w),
        "25 shifted matmuls": measured(shifted, last, taps),
        "padded before": measured(lambda x, w: F.conv2d(F.pad(x, [2, 2, 2, 2]), w), x, w),
        "NCHW, 4 x the batch": measured(lambda x, w: F.conv2d(x, w, padding=2), leaf([40, 32, 14, 14]), w),
        "NCHW with bias": measured(lambda x, w, b: F.conv2d(x, w, b, padding=2), x, w, b),
        "bias spread out": measured(lambda x, w, b: spread_bias(F.conv2d(x, w, padding=2), b), x, w, b),
        "first layer": measured(lambda w, b: F.max_pool2d(F.relu(F.conv2d(first, w, b, padding=2)), 2), first_w, first_b),
        "as in the program": measured(lambda w, b: F.relu(spread_bias(F.max_pool2d(F.conv2d(F.pad(first, [2, 2, 2, 2]), w), 2), b)), first_w, first_b),
    }
    beside = {"bias spread out": "NCHW with bias", "as in the program": "first layer"}
    seconds = in_turn(ways, 7)
    for name in ways:
        scale = 4 if "4 x" in name else 1
        other = beside.get(name, name if name in beside.values() else "NCHW")
        print(f"{name:22} {min(seconds[name]) / 4 / scale * 1000:8.2f} ms for 10 images   {scale * ratio(seconds[other], seconds[name]):.2f} of {other}")


if __name__ == "__main__":
    main()
