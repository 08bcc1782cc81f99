"""What the benchmark of selections makes of its runs, and that every selection in it draws."""

import math

import pytest

from benchmarks import selection
from fl_core.pool import Pool
from fl_core.strategy import load_strategy

FOUND = {"uniform": [(10.0, 100.0), (20.0, 300.0), (30.0, 200.0)], "oort": [(20.0, 50.0), (20.0, 100.0), (math.inf, math.inf)]}


def test_a_ratio_is_the_median_over_the_seeds_and_nothing_for_a_seed_that_stays_below() -> None:
    assert selection.ratios_of(FOUND) == {"to_oort_rounds": 0.5, "to_oort_seconds": 2.0}  # of 0.5, 1, 0 and of 2, 3, 0


def test_figures_say_how_many_seeds_got_there() -> None:
    figures = selection.figures_of({**FOUND, "by_size": [(math.inf, math.inf)]})
    assert {key: value for key, value in figures.items() if key.startswith("oort")} == {
        "oort_seeds_at_target": 2, "oort_rounds": 20, "oort_seconds": 75, "oort_seconds_least": 50, "oort_seconds_most": 100,
    }  # fmt: skip
    assert (figures["by_size_seeds_at_target"], "by_size_rounds" in figures) == (0, False)


def test_without_a_uniform_draw_that_gets_there_nothing_is_compared() -> None:
    with pytest.raises(ValueError, match="the uniform draw is below"):
        selection.ratios_of({"uniform": [(math.inf, math.inf)]})


def test_every_selection_is_a_job_whose_rounds_have_a_time() -> None:
    for name in selection.SELECTIONS:
        assert load_strategy(selection.a_job(name, 0)).round_seconds is not None, name


def test_a_small_one_is_measured(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "ACCURACY", 0.2)
    monkeypatch.setattr(selection, "SELECTIONS", {name: selection.SELECTIONS[name] for name in ("uniform", "deadline_aware")})
    found = selection.measure(quick=True)
    assert set(found.ratios) == {"to_deadline_aware_rounds", "to_deadline_aware_seconds"}
    assert found.figures["uniform_seconds"] > found.figures["deadline_aware_seconds"] > 0
