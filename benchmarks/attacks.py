"""Robust merging under attack: what accuracy each way of merging ends in while a quarter of the clients misbehave, in runs of the real runner."""

import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness import Benchmark, Goal, Measured
from fl_core import run
from fl_core.job import Job, parse_job
from fl_core.pool import Pool

CLIENTS, ATTACKERS = 20, 5
ROUNDS, SEEDS = 20, (0, 1)
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "fed_avg": {}, "norm_bound": {"bound": 1.0}, "median": {}, "trimmed_mean": {"trim": 0.25}, "krum": {"byzantine": ATTACKERS},
    "multi_krum": {"byzantine": ATTACKERS, "keep": 8},
}  # fmt: skip
# Honest moves are 0.5 to 3 long here, most about 1: who colludes quietly sends less than anybody honest, who does it loudly ten times as much.
ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "none": {}, "sign_flip": {"attack": "sign_flip"}, "scale": {"attack": "scale", "strength": 10.0}, "label_flip": {}, "nan": {"attack": "nan"},
    "colluding_loud": {"attack": "colluding", "strength": 10.0}, "colluding_quiet": {"attack": "colluding", "strength": 0.25},
}  # fmt: skip
FAIL_EXPECTED = ("fed_avg under scale", "fed_avg under colluding_loud", "krum under colluding_quiet")


def measure(quick: bool) -> Measured:
    """Measures every attack on every strategy, the mean over the seeds; quick: one seed and half the rounds."""
    rounds, seeds = (ROUNDS // 2, SEEDS[:1]) if quick else (ROUNDS, SEEDS)
    figures: dict[str, float] = {}
    with Pool() as pool:
        for attack in ATTACKS:
            for strategy in STRATEGIES:
                figures[f"{strategy}_{attack}"] = round(statistics.mean(_accuracy(attacked_job(strategy, attack, rounds, seed), pool) for seed in seeds), 3)
            found = [f"{strategy} {figures[f'{strategy}_{attack}']:.3f}" for strategy in STRATEGIES]
            print(f"{attack}: {', '.join(found)}", file=sys.stderr, flush=True)
    settings = {
        "data": "digits, dealt at random", "clients": CLIENTS, "attackers": ATTACKERS, "rounds": rounds, "seeds": len(seeds),
        "strategies": {name: dict(options) for name, options in STRATEGIES.items()}, "attacks": {name: dict(options) for name, options in ATTACKS.items()},
        "fail_expected": list(FAIL_EXPECTED),
    }  # fmt: skip
    return Measured(settings, ratios_of(figures), figures)


def ratios_of(figures: Mapping[str, float]) -> dict[str, float]:
    """Each strategy's worst accuracy under any attack as a share of its accuracy without one."""
    return {f"{name}_worst_to_none": round(min(figures[f"{name}_{attack}"] for attack in ATTACKS) / figures[f"{name}_none"], 3) for name in STRATEGIES}


def attacked_job(strategy: str, attack: str, rounds: int = ROUNDS, seed: int = 0) -> Job:
    """Digits with softmax regression; the attackers are the first clients."""
    named: dict[str, Any] = {"name": strategy, **STRATEGIES[strategy]}
    if "attack" in ATTACKS[attack]:
        named = {"name": "benchmarks.attackers:attacked", "attackers": ATTACKERS, "clients": CLIENTS, **ATTACKS[attack], "around": named}
    liars = ATTACKERS if attack == "label_flip" else 0
    content = {
        "format": 1, "name": "attacks", "program": "digits", "strategy": named, "rounds": rounds, "evaluate": {"every_rounds": rounds}, "seed": seed,
        "data": {"name": "benchmarks.attackers:flipped_digits", "clients": CLIENTS, "liars": liars, "seed": seed}, "federation": {"workers": 2},
        "optimizer": {"name": "SGD", "learning_rate": 0.5},
    }  # fmt: skip
    return parse_job(yaml.safe_dump(content))


def _accuracy(job: Job, pool: Pool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return float(run(job, out=Path(folder) / "run", pool=pool).metrics["accuracy"])


benchmark = Benchmark(
    "Median, trimmed mean, norm bound and Multi-Krum keep their accuracy while a quarter of the clients misbehave; plain averaging does not.",
    {
        "median_worst_to_none": Goal(least=0.95), "trimmed_mean_worst_to_none": Goal(least=0.95), "norm_bound_worst_to_none": Goal(least=0.9),
        "multi_krum_worst_to_none": Goal(least=0.9), "fed_avg_worst_to_none": Goal(most=0.5),
    },
    measure,
)  # fmt: skip
