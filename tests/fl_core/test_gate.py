"""The gate: both directions, ties, the tolerance to its last digit, and what cannot be compared."""

import math

import pytest

from fl_core.codec import Record
from fl_core.errors import InputError
from fl_core.gate import check_measured, judge


def version(number: int, value: float, metric: str = "m", better: str = "higher", tolerance: float = 0.0) -> Record:
    return {"name": "a", "version": number, "metrics": {metric: value}, "gate": {"metric": metric, "better": better, "tolerance": tolerance}}


@pytest.mark.parametrize(
    ("better", "candidate", "production", "tolerance", "passes"),
    [
        ("higher", 0.9, 0.8, 0.0, True),
        ("higher", 0.8, 0.8, 0.0, True),
        ("higher", 0.7999, 0.8, 0.0, False),
        ("lower", 0.8, 0.9, 0.0, True),
        ("lower", 0.9, 0.9, 0.0, True),
        ("lower", 0.9, 0.8, 0.0, False),
        ("higher", 0.75, 0.8, 0.1, True),
        ("higher", 0.7, 0.8, 0.1, True),  # 0.8 - 0.7 > 0.1 in floating point
        ("higher", 0.6999, 0.8, 0.1, False),
        ("lower", 0.4, 0.3, 0.1, True),  # 0.4 - 0.3 > 0.1, too
        ("lower", 0.4001, 0.3, 0.1, False),
        ("higher", math.nan, 0.8, 1.0, False),
        ("lower", math.inf, 0.8, 1.0, False),
    ],
)
def test_a_candidate_passes_unless_it_is_worse_by_more_than_the_tolerance(
    better: str, candidate: float, production: float, tolerance: float, passes: bool
) -> None:
    assert judge(version(2, candidate, better=better, tolerance=tolerance), version(1, production)).passed is passes


def test_the_first_version_passes_because_there_is_nothing_to_compare_with() -> None:
    assert judge(version(1, 0.1), None).passed


def test_a_metric_that_production_was_not_measured_by_does_not_pass() -> None:
    verdict = judge(version(2, 0.9, metric="auc"), version(1, 0.5, metric="accuracy"))
    assert (verdict.passed, verdict.why) == (False, "production, version 1, was not measured by 'auc'; there is nothing to compare with.")


def test_a_refusal_says_both_figures_the_difference_and_the_tolerance() -> None:
    why = judge(version(2, 0.5, tolerance=0.1), version(1, 0.75)).why
    assert why == "m is 0.5, that of production, version 1, is 0.75: worse by 0.25, and the tolerance is 0.1."


def test_an_unknown_metric_is_one_sentence_with_what_was_meant() -> None:
    check_measured("accuracy", ["accuracy", "loss"])
    with pytest.raises(InputError, match=r"publish.metric is 'acuracy', which the evaluation does not give; did you mean 'accuracy'?"):
        check_measured("acuracy", ["accuracy", "loss"])
