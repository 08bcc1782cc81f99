from fl_core.comparison_figures import Column
from pipelines.columns import show_columns

STRATEGY = Column("strategy", ["fed_avg", "scaffold"], numeric=False)


def test_numbers_are_flush_right_and_the_best_has_a_star() -> None:
    shown = show_columns([STRATEGY, Column("accuracy", ["0.9", "0.95"], best=1), Column("examples", ["5", "28 760"])], 80)
    assert shown.splitlines() == [
        "strategy  accuracy    examples",
        "fed_avg        0.9           5",
        "scaffold      0.95 *    28 760",
    ]


def test_what_does_not_fit_stands_below_with_its_names() -> None:
    shown = show_columns([STRATEGY, Column("one", ["1", "2"]), Column("two", ["3", "4"])], 14)
    assert shown.splitlines() == ["strategy  one", "fed_avg     1", "scaffold    2", "", "strategy  two", "fed_avg     3", "scaffold    4"]


def test_a_column_wider_than_the_terminal_is_shown_all_the_same() -> None:
    assert show_columns([STRATEGY, Column("x" * 50, ["1", "2"])], 20).count("\n") == 2


def test_a_long_name_is_cut() -> None:
    shown = show_columns([Column("strategy", ["y" * 99], numeric=False), Column("one", ["1"])], 80)
    assert "y" * 31 + "…" in shown
    assert "y" * 32 not in shown
