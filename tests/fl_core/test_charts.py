import doctest
import re

import fl_core.charts
from fl_core.charts import POINTS_MAX, Axis, Band, HeatMap, Series, evenly, extremes, heat_map, line_chart, nice_ticks, size, stacked_bars
from fl_core.markup import Html, table, tag


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(fl_core.charts).failed == 0


def test_plain_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>", tag("i", "&"), title='"') == '<p title="&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert isinstance(tag("p"), Html)
    assert "&lt;td&gt;" in table(["<td>"], [])


def test_lines_keep_their_peaks_when_they_are_thinned() -> None:
    points = [(float(i), 100.0 if i == 7777 else 0.0) for i in range(20_000)]
    kept = extremes(points)
    assert len(kept) <= POINTS_MAX
    assert (7777.0, 100.0) in kept
    assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_a_choice_of_places_has_the_first_and_the_last() -> None:
    assert evenly(3, 10) == [0, 1, 2]
    assert evenly(101, 3) == [0, 50, 100]


def test_ticks_of_rounds_are_whole() -> None:
    assert nice_ticks(1, 3, whole=True) == [1, 2, 3]
    assert nice_ticks(5, 5) == [5]


def test_several_runs_share_one_chart_whatever_their_rounds() -> None:
    chart = line_chart([Series("fed_avg", {0.0: 0.5, 2.0: 1.0}), Series("scaffold", {1.0: 0.25})], title="two runs", goal=0.9)
    assert re.findall(r"<title>([^<]*)</title>", chart) == ["round 0\nfed_avg  0.5", "round 1\nscaffold  0.25", "round 2\nfed_avg  1"]
    assert chart.count("<li>") == 2
    assert "goal 0.9" in chart


def test_a_band_tells_its_middle_and_its_ends() -> None:
    chart = line_chart([], bands=[Band("loss", {1.0: (1.0, 2.0, 4.0)})], title="a band")
    assert "<title>round 1\nloss  2  (1 to 4)</title>" in chart


def test_an_axis_says_its_values_in_its_own_unit() -> None:
    chart = line_chart([Series("one", {0.0: 0.5, 4_000_000.0: 1.0})], title="by bytes", x=Axis("bytes sent", size))
    assert "<title>bytes sent 4 MB\none  1</title>" in chart
    assert ">2 MB</text>" in chart


def test_a_window_cuts_lines_off_at_its_edges_and_has_no_dots_beyond() -> None:
    points = {0.0: 0.0, 1.0: 0.9, 2.0: 1.0}
    cut = line_chart([Series("one", points)], title="late", window=(0.9, 1.0))
    whole = line_chart([Series("one", points)], title="late")
    assert re.findall(r'<clipPath id="([^"]*)">', cut) == re.findall(r'clip-path="url\(#([^"]*)\)"', cut) != []
    assert "clip" not in whole
    assert (cut.count("<circle"), whole.count("<circle")) == (2, 3)


def test_beyond_the_last_colour_lines_are_told_apart_by_dots() -> None:
    chart = line_chart([Series(str(i), {0.0: i, 1.0: i}) for i in range(12)], title="many")
    assert len(set(re.findall(r'<path d="M1 6H25" class="([^"]*)">', chart))) == 12


def test_charts_that_share_a_legend_have_none_of_their_own() -> None:
    assert "<li>" not in line_chart([Series("one", {0.0: 1.0}), Series("two", {0.0: 2.0})], title="two", keyed=False)


def test_one_value_or_none_still_makes_a_chart() -> None:
    assert "<circle" in line_chart([Series("one", {3.0: 7.0})], title="one value")
    assert "<svg" in line_chart([], title="nothing")


def test_the_parts_of_a_bar_are_as_high_as_their_values() -> None:
    chart = stacked_bars([("round 1", {"train": 3.0, "close": 1.0})], ["train", "close"], title="time", x="round", y="s", ticks={0: "1"}, unit=" s")
    heights = [float(height) for height in re.findall(r'height="([\d.]+)" class="f[01]"></rect></g>|height="([\d.]+)" class="f0"', chart)[0] if height]
    train, close = (float(re.findall(rf'height="([\d.]+)" class="f{i}"></rect>(?!</svg>)', chart)[-1]) for i in (0, 1))
    assert heights
    assert abs(train - 3 * close) < 0.3
    assert "<title>round 1\ntrain  3 s\nclose  1 s</title>" in chart


def test_a_heat_map_draws_a_cell_a_level_and_a_mark_over_it() -> None:
    heat = HeatMap(["ann", "bob"], ["ann", "bob"], ["round 1", "round 2"], {0: "1"}, [[5, 5], [0, 5]], ["not drawn", *["took part"] * 5], {(1, 0): "left out"})
    chart = heat_map(heat, title="who", x="round")
    cells = {level: path.count("M") for path, level in re.findall(r'<path d="([^"]*)" class="l(\d)">', chart)}
    assert cells == {"5": 3, "0": 1}
    assert re.findall(r'data-cells="(\d+)"', chart) == ["55", "05"]
    assert chart.count('class="mark"') == 1
