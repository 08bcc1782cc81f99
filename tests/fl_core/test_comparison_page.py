"""The page of a comparison, of runs that never ran."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fl_core.comparison import Combination, Target, compare
from fl_core.comparison_page import render, write
from fl_core.errors import InputError
from tests.fl_core.outcomes import a_combination, an_outcome
from tests.fl_core.test_comparison import AVG, SCAFFOLD
from tests.fl_core.test_report import Elements

BOTH = compare([AVG, SCAFFOLD], Target("accuracy", 0.9))
PAGE = render(BOTH, "fl compare job.yaml")


def titles(page: str, first: str) -> list[str]:
    """What is said on hovering, of those that begin so."""
    return [text for text in re.findall(r"<title>([^<]*)</title>", page) if text.startswith(first)]


def test_the_page_says_what_is_compared_and_who_is_ahead() -> None:
    assert "<h1>wards</h1>" in PAGE
    assert "2 combinations × 2 seeds, 4 runs" in PAGE
    assert "Highest accuracy: scaffold, 0.950 ± 0.071" in PAGE
    assert "<strong>0.950 ± 0.071</strong>" in PAGE
    assert '<div class="value">1.5 ± 0.7</div>' in PAGE
    assert "fl compare job.yaml" in PAGE


def test_every_metric_has_curves_by_rounds_examples_bytes_and_seconds() -> None:
    shown = [attributes["aria-label"] for tag, attributes in Elements(PAGE).found if tag == "svg" and "aria-label" in attributes]
    assert shown == [f"{metric} by {along}" for metric in ("accuracy", "loss") for along in ("rounds", "examples", "bytes", "seconds")]


def test_a_curve_is_the_mean_over_the_seeds_and_its_band_reaches_from_lowest_to_highest() -> None:
    assert titles(PAGE, "round 2\n")[0] == "round 2\nfed_avg  0.75  (0.6 to 0.9)\nscaffold  0.95  (0.9 to 1)"
    assert titles(PAGE, "examples trained on 100\n")[0] == "examples trained on 100\nfed_avg  0.75  (0.6 to 0.9)\nscaffold  0.95  (0.9 to 1)"
    assert titles(PAGE, "bytes sent by clients 400 B\n")
    assert titles(PAGE, "seconds 4 s\n")


def test_simulated_seconds_are_one_more_axis_where_a_run_has_them() -> None:
    timed = compare([a_combination("timed", an_outcome([0.1, 0.5, 0.9], simulated=30.0)), SCAFFOLD], Target("accuracy", 0.9))
    page = render(timed, "fl compare")
    assert "<h3>by simulated seconds</h3>" in page
    assert "accuracy by simulated seconds" in page
    assert titles(page, "simulated seconds 30 s\n") == [f"simulated seconds 30 s\ntimed  {value}  ({value} to {value})" for value in ("0.5", "1")]
    assert "least simulated time to accuracy 0.9" in page
    assert "slowest chosen device" in page
    assert "simulated" not in PAGE


def test_the_page_says_what_its_figures_leave_out() -> None:
    assert "one sum of 4 or 8 bytes a number" in PAGE
    assert "the personal epochs of ditto and local_fine_tuning are not counted" in PAGE


def test_the_charts_of_a_metric_share_one_legend() -> None:
    assert PAGE.count('<ul class="legend">') == 2


def test_one_seed_is_a_line_without_a_band() -> None:
    page = render(compare([a_combination(name, an_outcome([0.1, value])) for name, value in (("a", 0.5), ("b", 0.6))]), "fl compare")
    assert 'class="b0"' not in page
    assert titles(page, "round 1\n")[0] == "round 1\na  0.5\nb  0.6"


def test_a_curve_goes_as_far_as_all_seeds_did() -> None:
    uneven = a_combination("uneven", an_outcome([0.1, 0.5, 0.6]), an_outcome([0.1, 0.5], "seed=1"))
    assert len(titles(render(compare([uneven]), "fl compare"), "round ")) == 2 * 2


def test_steep_first_rounds_are_cut_off_so_that_the_others_are_seen() -> None:
    flat = a_combination("flat", an_outcome([0.1, *[0.9 + i / 1000 for i in range(20)]]))
    page = render(compare([flat, AVG]), "fl compare")
    assert "Steep first rounds are cut off." in page
    assert page.count("<clipPath") == page.count('clip-path="url(#plot-') > 0


def test_failed_and_unfinished_runs_are_said_with_their_reason() -> None:
    broken = a_combination("broken", an_outcome([0.1, 0.2]), an_outcome([], status="failed", why="Too <few>."), an_outcome([0.1], status="not finished"))
    page = render(compare([AVG, broken]), "fl compare")
    assert "1 failed, 1 not finished" in page
    assert "failed: Too &lt;few&gt;." in page


def test_a_comparison_of_nothing_but_failures_has_a_page() -> None:
    page = render(compare([a_combination("dead", an_outcome([], status="failed", why="Too few."))], Target("accuracy", 1)), "fl compare")
    assert "1 failed" in page
    assert "no combination got there with every seed" in page


def test_what_differs_is_listed_where_the_names_do_not_say_it() -> None:
    shared = {"name": "a", "rounds": "1", "quorum": "0.5", "retries": "0"}
    page = render(compare([Combination({"name": "a"}, AVG.outcomes, shared), Combination({"name": "b"}, SCAFFOLD.outcomes, {"name": "b"})]), "fl compare")
    assert "<td>quorum</td><td>0.5</td><td>—</td>" in page
    assert "What differs" not in PAGE


def test_of_many_combinations_the_best_are_drawn_and_none_is_lost() -> None:
    many = [a_combination(f"s{i:02d}", an_outcome([0.1, 0.5 + i / 100])) for i in range(15)]
    page = render(compare(many), "fl compare")
    assert "Of 15 combinations the 12 that end best are drawn." in page
    assert len(titles(page, "round 1\n")[0].splitlines()) == 13
    assert 's5 dotted"' in page
    assert all(f"<td>s{i:02d}</td>" in page for i in range(15))


def test_runs_are_named_from_the_pages_folder(tmp_path: Path) -> None:
    one = an_outcome([0.1, 0.2])
    near = compare([a_combination("x", replace(one, place=f"{tmp_path}/x/seed-0"))])
    write(near, tmp_path / "comparison.html", "fl compare")
    assert "<td>x/seed-0</td>" in (tmp_path / "comparison.html").read_text()


def test_the_page_is_one_well_formed_file_that_fetches_nothing() -> None:
    elements = Elements(PAGE)
    assert not any(name in ("src", "href", "style") for _, attributes in elements.found for name in attributes)
    assert (elements.unbalanced, elements.open) == ([], [])


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"The page cannot be written to '.*/file/page.html': (Not a directory|File exists)"):
        write(BOTH, tmp_path / "file" / "page.html", "fl compare")
