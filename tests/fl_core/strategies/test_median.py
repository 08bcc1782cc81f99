from fl_core.strategies.median import median
from tests.fl_core.harness import numbers, person, play, small_run, three


def test_one_round_by_hand() -> None:
    # Moves of the first number: 0.5, 1.5, 50; the second: -1, 1, 0; the third: 2, 2, -500. Examples do not count.
    people = [person("a", three(1, -2, 4), examples=100), person("b", three(3, 2, 4)), person("c", three(100, 0, -1000))]
    state = play(small_run(median(), people, three(0, 0, 0), workers=2), people)
    assert numbers(state.weights) == [1.5, 0, 2]


def test_of_two_clients_it_is_the_mean() -> None:
    people = [person("a", three(1, 0, 0)), person("b", three(3, 0, 2))]
    state = play(small_run(median(server_learning_rate=2.0), people, three(0, 0, 0)), people)
    assert numbers(state.weights) == [2, 0, 1]


def test_buffers_take_the_median_too() -> None:
    people = [person(name, three(0, 0, target)) for name, target in (("a", 2), ("b", 4), ("c", 1e9))]
    state = play(small_run(median(), people, three(0, 0, 0), trainable=["w"]), people)
    assert numbers(state.weights, "b") == [2]
