import doctest

import fl_core.comparison_figures
from fl_core.comparison import Comparison, Mean, Target, compare
from fl_core.comparison_figures import called, caption, costs, results, spread, verdict
from fl_core.comparison_page import render
from tests.fl_core.outcomes import a_combination, an_outcome
from tests.fl_core.test_comparison import AVG, SCAFFOLD

BOTH = compare([AVG, SCAFFOLD], Target("accuracy", 0.9))


def cells(comparison: Comparison) -> dict[str, list[str]]:
    return {column.head: column.cells for column in (*called(comparison), *results(comparison), *costs(comparison))}


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(fl_core.comparison_figures).failed == 0


def test_a_row_says_who_came_how_far_at_what_cost() -> None:
    assert cells(BOTH) == {
        "strategy": ["fed_avg", "scaffold"],
        "accuracy": ["0.750 ± 0.071", "0.950 ± 0.071"],
        "best (in round)": ["0.800 ± 0.141 (2)", "0.950 ± 0.071 (2)"],
        "loss": ["0.333 ± 0.000", "0.333 ± 0.000"],
        "rounds to accuracy 0.9": ["2 (1 of 2)", "1.5 ± 0.7"],
        "sent to accuracy 0.9": ["400 B (1 of 2)", "300 B"],
        "examples": ["150", "150"],
        "sent": ["600 B", "600 B"],
        "received": ["1.8 kB", "1.8 kB"],
        "time": ["6 s", "6 s"],
    }


def test_simulated_time_is_a_column_where_any_run_has_it() -> None:
    fast = a_combination("fast", an_outcome([0.1, 0.5, 0.9], simulated=30.0), an_outcome([0.1, 0.9, 0.9], "seed=1", simulated=30.0))
    shown = cells(compare([fast, SCAFFOLD], Target("accuracy", 0.9)))
    assert shown["simulated to accuracy 0.9"] == ["45 s", "—"]
    assert shown["simulated"] == ["1 min 0 s", "—"]


def test_the_best_of_a_column_is_marked_where_one_is_better() -> None:
    marks = {column.head: column.best for column in (*results(BOTH), *costs(BOTH))}
    assert (marks["accuracy"], marks["best (in round)"], marks["rounds to accuracy 0.9"], marks["sent to accuracy 0.9"]) == (1, 1, 1, 1)
    assert (marks["loss"], marks["examples"]) == (None, None)  # equal; and no way is better


def test_a_small_deviation_is_seen() -> None:
    assert spread(Mean(0.9, 0.00004, 0.9, 0.9, 2)) == "0.90000 ± 0.00004"
    assert spread(Mean(1234.5, 10.0, 0, 0, 2)) == "1234 ± 10"
    assert spread(Mean(0.0, 0.0, 0.0, 0.0, 2)) == "0.00 ± 0.00"
    assert spread(None) == "—"


def test_runs_are_counted_where_some_did_not_finish() -> None:
    broken = a_combination("broken", an_outcome([0.1, 0.2]), an_outcome([], status="failed", why="x"), an_outcome([0.1], status="not finished"))
    shown = cells(compare([AVG, broken]))
    assert shown["runs"] == ["2", "1 + 1 failed + 1 not finished"]
    assert "runs" not in cells(BOTH)


def test_who_never_got_to_the_target_is_said_so() -> None:
    slow, dead = a_combination("slow", an_outcome([0.1, 0.2])), a_combination("dead", an_outcome([], status="failed", why="x"))
    shown = cells(compare([slow, dead], Target("accuracy", 0.9)))
    assert shown["rounds to accuracy 0.9"] == ["not reached", "—"]
    assert shown["accuracy"] == ["0.2", "—"]


def test_the_verdict_names_the_best_and_whether_seeds_could_have_made_it() -> None:
    said = verdict(BOTH)
    assert said == "Highest accuracy: scaffold, 0.950 ± 0.071; next is fed_avg, 0.750 ± 0.071. They are further apart than their spreads."
    near = a_combination("near", an_outcome([0.1, 0.9]), an_outcome([0.1, 0.95]))
    assert verdict(compare([near, SCAFFOLD])).endswith("Their spreads overlap.")
    once = [a_combination(name, an_outcome([0.1, value])) for name, value in (("a", 0.5), ("b", 0.6))]
    assert verdict(compare(once)).startswith("Highest accuracy: b, 0.6; next is a, 0.5. One seed each")


def test_one_combination_has_no_verdict() -> None:
    assert verdict(compare([AVG])) == ""
    assert caption(compare([AVG])) == "Means over 2 seeds ± their standard deviation."


def test_combinations_of_fewer_seeds_are_not_passed_off_as_having_as_many() -> None:
    uneven = compare([AVG, a_combination("once", an_outcome([0.1, 0.5]))])
    assert caption(uneven) == "Means over up to 2 seeds ± their standard deviation."
    assert "2 combinations × up to 2 seeds, 3 runs" in render(uneven, "fl compare runs")


def test_runs_without_a_varied_key_are_called_by_their_job() -> None:
    alone = compare([a_combination("x", an_outcome([0.1, 0.2]))])
    assert cells(alone)["strategy"] == ["x"]
    nameless = compare([fl_core.comparison_figures.Combination({}, [an_outcome([0.1, 0.2])])])
    assert cells(nameless)["job"] == ["wards"]
