"""Runs side by side: grouped into combinations of what differs, every figure a mean over the seeds with its spread."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from fl_core.comparison_facts import Axis, Outcome, bytes_received, bytes_sent, examples, is_simulated, simulated_seconds, walked
from fl_core.comparison_plan import is_name, label, shown_value
from fl_core.curves import best_round, curves_of, direction, is_reached
from fl_core.errors import InputError, did_you_mean
from fl_core.job import Job
from fl_core.program import Direction

LABEL_KEYS_MAX = 3


@dataclass(frozen=True)
class Mean:
    """A figure over seeds: mean, sample standard deviation (None for one value), and between what it lies."""

    mean: float
    deviation: float | None
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Combination:
    """Runs that differ in nothing but their seed. `values` are what it is called by, `differs` all that sets it apart from the others."""

    values: Mapping[str, str]
    outcomes: Sequence[Outcome]
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return label(self.values) or self.outcomes[0].job.name

    @property
    def finished(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.status == "finished"]


@dataclass(frozen=True)
class Target:
    """What a run is to reach."""

    metric: str
    goal: float


@dataclass(frozen=True)
class Comparison:
    """Combinations to be shown side by side; the first of `metrics` is the one that they are judged by."""

    combinations: Sequence[Combination]
    metrics: Sequence[str]
    better: Mapping[str, Direction]
    target: Target | None = None

    @property
    def keys(self) -> list[str]:
        """What the combinations are called by."""
        return list(dict.fromkeys(key for one in self.combinations for key in one.values))

    @property
    def title(self) -> str:
        return " and ".join(dict.fromkeys(outcome.job.name for one in self.combinations for outcome in one.outcomes))

    @property
    def seeds(self) -> int:
        """How many runs the largest combination has."""
        return max(len(one.outcomes) for one in self.combinations)

    @property
    def seeds_told(self) -> str:
        """The same in words, which say so where others have fewer."""
        return f"{'up to ' if any(len(one.outcomes) < self.seeds for one in self.combinations) else ''}{self.seeds} seeds"

    @property
    def is_simulated(self) -> bool:
        """Whether any of the runs has a time on simulated devices."""
        return any(is_simulated(outcome) for one in self.combinations for outcome in one.outcomes)


def compare(combinations: Sequence[Combination], target: Target | None = None) -> Comparison:
    """The comparison; InputError where a target is nothing that was measured or nobody said which way is better."""
    outcomes = [outcome for one in combinations for outcome in one.outcomes]
    better = {metric: towards for outcome in outcomes for metric, towards in outcome.better.items()}
    metrics = list(curves_of([row for outcome in outcomes for row in outcome.table], better))
    if target is not None and metrics:
        if target.metric not in metrics:
            raise InputError(f"--target {target.metric} is nothing that was measured; {did_you_mean(target.metric, metrics)}")
        if direction(target.metric, better) is None:
            raise InputError(f"Nobody said whether '{target.metric}' is better higher or lower; add it to the program's `better` before it is a target.")
    goals = [*([target.metric] if target else []), *(metric for outcome in outcomes for metric in outcome.job.stop_when)]
    first = next((metric for metric in goals if metric in metrics), None)
    return Comparison(combinations, sorted(metrics, key=lambda metric: metric != first), better, target)


def group(outcomes: Iterable[Outcome]) -> list[Combination]:
    """Runs by what their jobs say beside the seed, in the order in which they were given."""
    groups: dict[str, list[Outcome]] = {}
    jobs: dict[str, dict[str, str]] = {}
    for outcome in outcomes:
        flat = flatten(outcome.job)
        key = json.dumps(flat, sort_keys=True)
        groups.setdefault(key, []).append(outcome)
        jobs[key] = flat
    keys = dict.fromkeys(key for flat in jobs.values() for key in flat)
    differing = [key for key in keys if len({flat.get(key) for flat in jobs.values()}) > 1]
    called_by = differing if len(differing) <= LABEL_KEYS_MAX else _telling(differing, list(jobs.values()))
    return [
        Combination(_chosen(called_by, jobs[key]), sorted(members, key=lambda outcome: outcome.job.seed), _chosen(differing, jobs[key]))
        for key, members in groups.items()
    ]


def _chosen(keys: Iterable[str], flat: Mapping[str, str]) -> dict[str, str]:
    return {key: flat[key] for key in keys if key in flat}


def _telling(keys: Sequence[str], jobs: Sequence[Mapping[str, str]]) -> list[str]:
    """As few of the keys as tell the jobs apart, names first."""
    chosen: list[str] = []
    kinds = 1
    for key in sorted(keys, key=lambda key: (key != "name", not is_name(key))):
        with_it = len({tuple(job.get(one) for one in [*chosen, key]) for job in jobs})
        if with_it > kinds:
            chosen, kinds = [*chosen, key], with_it
    return chosen


def flatten(job: Job) -> dict[str, str]:
    """Every key of a job with its value as people write it, but for the seed; of code the sha256."""
    content = job.model_dump(mode="json", exclude={"seed", "code"})
    return dict(_flat(content)) | {f"code.{name}": digest[:8] for name, digest in job.code_sha256.items()}


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        elif value not in (None, {}, []):
            yield f"{above}{key}", shown_value(value)


def mean_of(values: Iterable[float | None]) -> Mean | None:
    """The mean of what is known, None where nothing is.

    >>> mean_of([1.0, None, 2.0])
    Mean(mean=1.5, deviation=0.7071067811865476, low=1.0, high=2.0, count=2)
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Mean(fmean(known), stdev(known) if len(known) > 1 else None, min(known), max(known), len(known))


def final(one: Combination, metric: str) -> Mean | None:
    """The metric of the last states of the finished runs."""
    return mean_of(outcome.table[-1]["metrics"].get(metric) for outcome in one.finished)


def best(comparison: Comparison, one: Combination) -> tuple[Mean, Mean] | None:
    """The best value that each finished run had of the first metric, and the round it had it in; None where no way is better."""
    towards = direction(comparison.metrics[0], comparison.better) if comparison.metrics else None
    curves = [curve for outcome in one.finished if (curve := curve_of(outcome, comparison.metrics[0]))]
    if towards is None or not curves:
        return None
    rounds = [best_round(curve, towards) for curve in curves]
    value, round = mean_of(curve[at] for curve, at in zip(curves, rounds, strict=True)), mean_of(rounds)
    return (value, round) if value and round else None


def curve_of(outcome: Outcome, metric: str) -> dict[float, float]:
    return outcome.curves.get(metric, {})


def rounds_to_target(comparison: Comparison, outcome: Outcome) -> float | None:
    """The first round that reached the target, None where none did."""
    target = comparison.target
    towards = direction(target.metric, comparison.better) if target else None
    if target is None or towards is None:
        return None
    reached = (round for round, value in sorted(curve_of(outcome, target.metric).items()) if is_reached(value, target.goal, towards))
    return next(reached, None)


def to_target(comparison: Comparison, one: Combination) -> Mean | None:
    """The rounds to the target, of those finished runs that reached it."""
    return mean_of(rounds_to_target(comparison, outcome) for outcome in one.finished)


def bytes_to_target(comparison: Comparison, one: Combination) -> Mean | None:
    """The bytes that clients sent until the target was reached, of those finished runs that reached it."""
    return mean_of(_along_to_target(comparison, outcome, "bytes") for outcome in one.finished)


def simulated_to_target(comparison: Comparison, one: Combination) -> Mean | None:
    """The seconds on simulated devices until the target was reached, of those finished runs that reached it."""
    return mean_of(_along_to_target(comparison, outcome, "simulated seconds") for outcome in one.finished)


def _along_to_target(comparison: Comparison, outcome: Outcome, axis: Axis) -> float | None:
    round, far = rounds_to_target(comparison, outcome), walked(outcome, axis)
    return None if round is None or not far else far[int(round)]


def ranked(comparison: Comparison) -> list[tuple[Mean, Combination]]:
    """The combinations by how their first metric ends, the best first; empty where no way is better."""
    towards = direction(comparison.metrics[0], comparison.better) if comparison.metrics else None
    ended = [(value, one) for one in comparison.combinations if towards and (value := final(one, comparison.metrics[0])) is not None]
    return sorted(ended, key=lambda pair: pair[0].mean, reverse=towards == "higher")


def as_record(comparison: Comparison) -> dict[str, Any]:
    """All figures as one object for `--json`."""
    target = comparison.target
    return {
        "name": comparison.title, "keys": comparison.keys, "metric": comparison.metrics[0] if comparison.metrics else None,
        "target": {target.metric: target.goal} if target else {},
        "combinations": [_combination_record(comparison, one) for one in comparison.combinations],
    }  # fmt: skip


def _combination_record(comparison: Comparison, one: Combination) -> dict[str, Any]:
    found, reached = best(comparison, one), to_target(comparison, one)
    return {
        "name": one.name, "values": dict(one.values), "seeds": [outcome.job.seed for outcome in one.outcomes],
        "finished": len(one.finished), "failed": sum(outcome.status == "failed" for outcome in one.outcomes),
        "metrics": {metric: _mean_record(final(one, metric)) for metric in comparison.metrics},
        "best": _mean_record(found[0]) if found else None, "best_round": _mean_record(found[1]) if found else None,
        "rounds_to_target": _mean_record(reached), "bytes_to_target": _mean_record(bytes_to_target(comparison, one)),
        "simulated_seconds_to_target": _mean_record(simulated_to_target(comparison, one)),
        "examples": _mean_record(mean_of(examples(outcome) for outcome in one.finished)),
        "bytes_sent": _mean_record(mean_of(map(bytes_sent, one.finished))), "bytes_received": _mean_record(mean_of(map(bytes_received, one.finished))),
        "seconds": _mean_record(mean_of(outcome.seconds for outcome in one.finished)),
        "simulated_seconds": _mean_record(mean_of(map(simulated_seconds, one.finished))),
        "runs": [_run_record(comparison, outcome) for outcome in one.outcomes],
    }  # fmt: skip


def _run_record(comparison: Comparison, outcome: Outcome) -> dict[str, Any]:
    return {
        "run": outcome.place, "seed": outcome.job.seed, "status": outcome.status, "why": outcome.why, "rounds": outcome.rounds,
        "metrics": outcome.table[-1]["metrics"] if outcome.table else {}, "rounds_to_target": rounds_to_target(comparison, outcome),
        "examples": examples(outcome), "bytes_sent": bytes_sent(outcome), "bytes_received": bytes_received(outcome),
        "seconds": outcome.seconds, "simulated_seconds": simulated_seconds(outcome), "digest": outcome.digest,
    }  # fmt: skip


def _mean_record(value: Mean | None) -> dict[str, float | int | None] | None:
    return None if value is None else {"mean": value.mean, "deviation": value.deviation, "low": value.low, "high": value.high, "count": value.count}
