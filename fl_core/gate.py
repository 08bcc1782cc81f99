"""The gate before production: whether a published model may take the place of the one that is there."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fl_core.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Verdict:
    """Whether the gate is passed, and why as one sentence."""

    passed: bool
    why: str


def judge(candidate: Mapping[str, Any], production: Mapping[str, Any] | None) -> Verdict:
    """Passed where the candidate's metric is not worse than production's by more than the tolerance; both are records of versions, None where there is none.

    Metric, tolerance and direction are those that the candidate was published with. What was never measured does not pass.
    """
    metric, tolerance, better = (candidate["gate"][key] for key in ("metric", "tolerance", "better"))
    value = candidate["metrics"][metric]
    if production is None:
        return Verdict(True, f"{metric} is {value:.6g}; there was no production to compare with.")
    other = production["metrics"].get(metric)
    if other is None:
        return Verdict(False, f"production, version {production['version']}, was not measured by '{metric}'; there is nothing to compare with.")
    gap = other - value if better == "higher" else value - other
    compared = f"{metric} is {value:.6g}, that of production, version {production['version']}, is {other:.6g}"
    if gap <= tolerance or math.isclose(gap, tolerance, rel_tol=1e-9, abs_tol=1e-12):  # 0.8 - 0.7 is a little more than 0.1
        return Verdict(True, f"{compared}.")
    return Verdict(False, f"{compared}: {'not a number' if math.isnan(gap) else f'worse by {gap:.6g}'}, and the tolerance is {tolerance:g}.")


def check_measured(metric: str, metrics: Collection[str]) -> None:
    """InputError where the gate asks for a metric that the evaluation does not give."""
    if metric not in metrics:
        raise InputError(f"publish.metric is '{metric}', which the evaluation does not give; {did_you_mean(metric, metrics)}")
