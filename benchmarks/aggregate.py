"""Exact sums of 100 updates of 10 million parameters, beside an in-place saxpy over the same bytes; from memory and from mapped files."""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import Benchmark, Goal, Measured, in_turn, ratio
from fl_core import exact
from fl_core.codec import decode_tensors, encode_tensors
from fl_core.store import FileStore

PARAMETERS = 10_000_000
AT_HAND = 4
BLOCK = 1 << 16


def measure(quick: bool) -> Measured:
    parameters, updates, pairs = PARAMETERS, 20 if quick else 100, 3
    random = np.random.Generator(np.random.PCG64(0))
    moves = [{"w": (random.random(parameters, np.float32) - np.float32(0.5)) * np.float32(1e-3)} for _ in range(AT_HAND)]
    with tempfile.TemporaryDirectory() as folder:
        store = FileStore(Path(folder))
        for i, move in enumerate(moves):
            store.put(f"{i}.safetensors", encode_tensors(move, {}))

        def from_files(turn: int) -> dict[str, np.ndarray]:
            return decode_tensors(store.get(f"{turn % AT_HAND}.safetensors"), "an update")[0]

        seconds = in_turn(
            {
                "saxpy": lambda: _saxpy(moves, updates), "exact": lambda: _exact(lambda turn: moves[turn % AT_HAND], updates, parameters),
                "files": lambda: _exact(from_files, updates, parameters),
            },
            pairs,
        )  # fmt: skip
    ratios = {"to_saxpy": ratio(seconds["saxpy"], seconds["exact"]), "to_saxpy_from_files": ratio(seconds["saxpy"], seconds["files"])}
    figures = {f"{name}_ms_per_update": round(min(values) / updates * 1000, 2) for name, values in seconds.items()}
    figures["models_of_memory"] = _models_of_memory(moves[0], parameters)
    return Measured({"parameters": parameters, "updates": updates, "pairs": pairs, "updates_at_hand": AT_HAND}, ratios, figures)


def _saxpy(moves: list[dict[str, np.ndarray]], updates: int) -> float:
    """total += move * weight in float32, in place, block by block: what a sum costs that does not care about its order."""
    total, scratch = np.zeros(moves[0]["w"].size, np.float32), np.empty(BLOCK, np.float32)
    start = time.process_time()
    for turn in range(updates):
        move = moves[turn % AT_HAND]["w"]
        for at in range(0, move.size, BLOCK):
            part = scratch[: min(BLOCK, move.size - at)]
            np.multiply(move[at : at + BLOCK], np.float32(0.5), out=part)
            total[at : at + BLOCK] += part
    return time.process_time() - start


def _exact(update_of, updates: int, parameters: int) -> float:  # type: ignore[no-untyped-def]
    """What a worker does with each update: is it summable, then add it."""
    totals = {"w": np.zeros(parameters, np.int64)}
    start = time.process_time()
    for turn in range(updates):
        move = update_of(turn)
        if exact.why_not_summable(move, 0.5):
            raise AssertionError("the updates are summable")
        exact.add_move(totals, move, 0.5)
    return time.process_time() - start


def _models_of_memory(move: dict[str, np.ndarray], parameters: int) -> float:
    """The most memory that summing holds beyond the updates at hand, in models of float32."""
    import tracemalloc

    tracemalloc.start()
    _exact(lambda turn: move, 2, parameters)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / (parameters * 4), 2)


benchmark = Benchmark(
    "Exact sums in any order run at a third of the memory's pace and hold little.",
    {"to_saxpy": Goal(least=0.3), "to_saxpy_from_files": Goal(least=0.3), "models_of_memory": Goal(most=4)},
    measure,
)
