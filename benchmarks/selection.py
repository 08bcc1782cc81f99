"""What it is worth to choose clients: simulated seconds, and rounds, until a model is good, of each selection beside a uniform draw."""

import math
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness import Benchmark, Goal, Measured
from fl_core import run
from fl_core.job import Job, parse_job
from fl_core.pool import Pool
from fl_core.selections._devices import Devices

CLIENTS, CLIENTS_PER_ROUND, LOCAL_EPOCHS = 100, 10, 5
ACCURACY, ROUNDS, SEEDS = 0.9, 150, (0, 1, 2)
# A client holds 15 examples in the median: half of the devices train and send within some 5.5 s, one of twenty takes more than 20 s.
DEVICES = Devices(examples_per_second=20, upload_seconds=1, spread=3)
SECONDS = 6.0
SELECTIONS: Mapping[str, Mapping[str, Any]] = {
    "uniform": {"clients_per_round": CLIENTS_PER_ROUND}, "by_size": {"clients_per_round": CLIENTS_PER_ROUND},
    "round_robin": {"clients_per_round": CLIENTS_PER_ROUND}, "power_of_choice": {"clients_per_round": CLIENTS_PER_ROUND, "candidates": 30},
    "oort": {"clients_per_round": CLIENTS_PER_ROUND, "preferred_seconds": SECONDS},
    "deadline_aware": {"clients_per_round": CLIENTS_PER_ROUND, "deadline_seconds": SECONDS},
    # Its replies are sent one after the other, a second each: with twice the time it chooses 15 to 17.
    "resource_aware": {"candidates": 30, "deadline_seconds": 2 * SECONDS},
}  # fmt: skip
# Large clients are drawn more often there, and would count twice if they weighed by examples, too.
WEIGHED_EQUALLY = ("by_size", "power_of_choice")
Found = Mapping[str, Sequence[tuple[float, float]]]


def measure(quick: bool) -> Measured:
    """Measures every selection with every seed, which deals out data and speeds anew; quick: one seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SELECTIONS}
    with Pool() as pool:
        for seed in seeds:
            for name, to_target in found.items():
                to_target.append(_to_target(a_job(name, seed), pool))
                print(f"seed {seed}, {name}: {to_target[-1][0]:g} rounds, {to_target[-1][1]:.0f} simulated seconds", file=sys.stderr, flush=True)
    settings = {
        "data": "digits, dirichlet alpha 0.3", "clients": CLIENTS, "local_epochs": LOCAL_EPOCHS, "accuracy": ACCURACY, "rounds_max": ROUNDS,
        "seeds": len(seeds), "devices": DEVICES.model_dump(exclude={"seed"}), "weighed_equally": list(WEIGHED_EQUALLY),
        "selections": {name: dict(options) for name, options in SELECTIONS.items()},
    }  # fmt: skip
    return Measured(settings, ratios_of(found), figures_of(found))


def a_job(selection: str, seed: int) -> Job:
    """Digits with softmax regression, dealt out unequally."""
    devices = DEVICES.model_copy(update={"seed": seed}).model_dump()
    strategy = {"name": "fed_avg", "local_epochs": LOCAL_EPOCHS, "weigh": "equally" if selection in WEIGHED_EQUALLY else "examples"}
    content = {
        "format": 1, "name": "selection", "program": "digits", "strategy": strategy, "rounds": ROUNDS, "seed": seed,
        "selection": {"name": selection, "devices": devices, **SELECTIONS[selection]}, "stop_when": {"accuracy": ACCURACY},
        "data": {"name": "digits", "partition": {"name": "dirichlet", "clients": CLIENTS, "alpha": 0.3, "min_examples": 2}},
        "optimizer": {"name": "SGD", "learning_rate": 0.05},
    }  # fmt: skip
    return parse_job(yaml.safe_dump(content))


def _to_target(job: Job, pool: Pool) -> tuple[float, float]:
    """After how many rounds the model was good, and after how many simulated seconds; infinity where it never was."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(job, out=Path(folder) / "run", pool=pool)
        if result.metrics["accuracy"] < ACCURACY:
            return math.inf, math.inf
        return float(result.summary["rounds"]), float(result.summary["simulated_seconds"])


def ratios_of(found: Found) -> dict[str, float]:
    """How much longer the uniform draw takes, in rounds and in simulated seconds: the median over the seeds, 0 for one that a selection does not get to the
    target with. ValueError where the uniform draw does not."""
    if not all(math.isfinite(rounds) for rounds, _ in found["uniform"]):
        raise ValueError(f"the uniform draw is below {ACCURACY} after {ROUNDS} rounds; give it more rounds")
    return {
        f"to_{name}_{what}": round(statistics.median(plain[at] / one[at] for plain, one in zip(found["uniform"], ones, strict=True)), 3)
        for name, ones in found.items() if name != "uniform" for at, what in enumerate(("rounds", "seconds"))
    }  # fmt: skip


def figures_of(found: Found) -> dict[str, float]:
    """Rounds and simulated seconds, of the seeds that got to the target: the median, and the least and the most seconds; and how many seeds did."""
    figures: dict[str, float] = {}
    for name, ones in found.items():
        reached = [one for one in ones if math.isfinite(one[0])]
        figures[f"{name}_seeds_at_target"] = len(reached)
        if reached:
            seconds = [one[1] for one in reached]
            figures[f"{name}_rounds"] = statistics.median(one[0] for one in reached)
            figures[f"{name}_seconds"] = round(statistics.median(seconds), 1)
            figures |= {f"{name}_seconds_least": round(min(seconds), 1), f"{name}_seconds_most": round(max(seconds), 1)}
    return figures


benchmark = Benchmark(
    "On devices of unequal speed, who looks at speed is done sooner than a uniform draw, and who looks at losses in fewer rounds.",
    {
        "to_oort_seconds": Goal(least=1.2), "to_deadline_aware_seconds": Goal(least=1.2), "to_resource_aware_seconds": Goal(least=1.2),
        "to_power_of_choice_rounds": Goal(least=1.2),
    },
    measure,
)  # fmt: skip
