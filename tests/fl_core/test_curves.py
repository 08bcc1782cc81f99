from fl_core.curves import best_round, curves_of, direction, is_reached

ROWS = [
    {"round": 0, "metrics": {"loss": 2.0, "accuracy": 0.1, "odd": 1.0, "accuracy_p10": 0.0, "accuracy_held_out": 0.2}},
    {"round": 1, "metrics": {}},
    {"round": 2, "metrics": {"loss": 1.0, "accuracy": 0.5, "odd": 2.0}},
]


def test_metrics_are_curves_over_rounds_those_that_rise_first() -> None:
    curves = curves_of(ROWS, {})
    assert list(curves) == ["accuracy", "loss", "odd"]
    assert curves["loss"] == {0.0: 2.0, 2.0: 1.0}


def test_a_program_may_say_which_way_is_better() -> None:
    assert direction("odd", {}) is None
    assert direction("odd", {"odd": "higher"}) == "higher"
    assert direction("loss", {"loss": "higher"}) == "higher"
    assert list(curves_of(ROWS, {"odd": "higher"})) == ["accuracy", "odd", "loss"]


def test_the_best_round_is_the_first_with_the_best_value() -> None:
    points = {0.0: 1.0, 1.0: 3.0, 2.0: 0.5, 3.0: 3.0}
    assert (best_round(points, "higher"), best_round(points, "lower")) == (1.0, 2.0)


def test_a_goal_is_reached_from_its_own_side() -> None:
    assert is_reached(0.9, 0.9, "higher")
    assert not is_reached(0.89, 0.9, "higher")
    assert is_reached(0.1, 0.2, "lower")
    assert not is_reached(0.3, 0.2, "lower")
