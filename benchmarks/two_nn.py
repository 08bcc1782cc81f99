"""The 2NN of McMahan et al. 2017 on 10 clients with 600 images each, B = 10, E = 1; and one of other sizes, so that no size is treated specially."""

from collections.abc import Sequence

from benchmarks.harness import Benchmark, Goal, Measured, in_turn, ratio, spread
from benchmarks.training import beside_loops, round_seconds, training_job, two_loops_to_one
from fl_core.job import Job
from fl_core.pool import Pool

SIZES: dict[str, tuple[int, ...]] = {"784-200-200-10": (200, 200), "784-128-64-10": (128, 64)}
CLIENTS, EXAMPLES, BATCH_SIZE = 10, 600, 10


def two_nn_job(form: str, rounds: int, hidden: Sequence[int] = SIZES["784-200-200-10"]) -> Job:
    program = {"name": f"benchmarks.programs:{form}", "features": 784, "classes": 10, "hidden": list(hidden)}
    data = {"name": "benchmarks.data:images", "clients": CLIENTS, "examples": EXAMPLES}
    return training_job(program, data, rounds, BATCH_SIZE, 0.1)


def measure(quick: bool) -> Measured:
    rounds, repeats = (5, 2) if quick else (21, 6)
    found: dict[str, dict[str, list[float]]] = {}
    figures: dict[str, float] = {}
    with Pool(1) as one, Pool(2) as two:
        for net, hidden in SIZES.items():
            for form in ("layers", "functional"):
                found[f"{form} {net}"] = beside_loops(two_nn_job(form, rounds, hidden), ["ordinary", "fastest", "patched"], one)
        short = two_nn_job("layers", 6)
        processes = in_turn({"one": lambda: _middle(round_seconds(short, one)), "two": lambda: _middle(round_seconds(short, two))}, repeats)
    for name, seconds in found.items():
        figures[f"to_limit {name}"] = ratio(seconds["fastest"], seconds["engine"])
        figures[f"to_patched {name}"] = ratio(seconds["patched"], seconds["engine"])
        figures[f"to_ordinary {name}"] = ratio(seconds["ordinary"], seconds["engine"])
        figures[f"spread {name}"] = spread([a / b for a, b in zip(seconds["fastest"], seconds["engine"], strict=True)])
        figures[f"examples_per_cpu_second {name}"] = round(CLIENTS * EXAMPLES / _middle(seconds["engine"]))
    ratios = {
        "to_limit": min(figures[f"to_limit {name}"] for name in found),
        "to_layer_api": min(figures[f"to_ordinary layers {net}"] for net in SIZES),
        "functional": min(figures[f"to_ordinary functional {net}"] for net in SIZES),
        "two_processes": ratio(processes["one"], processes["two"]),
    }
    figures["round_seconds_one_process"], figures["round_seconds_two_processes"] = (round(_middle(processes[p]), 4) for p in ("one", "two"))
    figures["two_plain_loops"] = two_loops_to_one(short, repeats)
    settings = {
        "nets": list(SIZES),
        "clients": CLIENTS,
        "examples_per_client": EXAMPLES,
        "batch_size": BATCH_SIZE,
        "local_epochs": 1,
        "rounds": rounds - 1,
        "pairs": repeats,
    }
    return Measured(settings, ratios, figures)


def _middle(seconds: Sequence[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]


benchmark = Benchmark(
    claim="Local training runs at the pace of the fastest Paddle loop around the same program, and well above the ordinary one.",
    goals={"to_limit": Goal(least=0.9), "to_layer_api": Goal(least=1.4), "functional": Goal(least=1.6), "two_processes": Goal(least=1.7)},
    measure=measure,
)
