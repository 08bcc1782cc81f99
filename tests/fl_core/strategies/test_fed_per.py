import pytest

from fl_core.codec import decode_tensors
from fl_core.errors import InputError
from fl_core.strategies.fed_per import fed_per
from fl_core.worker import read_memory
from tests.fl_core.harness import numbers, person, play, replies, small_run, three

PEOPLE = [person("a", three(1, 0, -1)), person("b", three(3, 0, -3))]


def test_two_rounds_by_hand() -> None:
    # The shared w goes the way of FedAvg: 1, then 1 + (0 + 1) / 2. Each b goes its own: -0.5, -0.75 and -1.5, -2.25.
    run = small_run(fed_per(personal=["b"]), PEOPLE, three(0, 0, 0))
    assert numbers(play(run, PEOPLE).weights) == [1, 0, 0]
    assert numbers(play(run, PEOPLE, round=2).weights) == [1.5, 0, 0]
    assert [numbers(read_memory(run, name, 3), "strategy.b") for name in "ab"] == [[-0.75], [-2.25]]


def test_what_is_personal_is_never_sent() -> None:
    run = small_run(fed_per(personal=["b"]), PEOPLE, three(0, 0, 0))
    play(run, PEOPLE)
    (reply,) = replies(run).values()
    assert set(decode_tensors(reply, "the reply")[0]) == {"w"}


def test_layers_that_do_not_exist_and_a_model_without_a_shared_part_are_refused() -> None:
    with pytest.raises(InputError, match=r"strategy.personal has 'head.', but no weight begins so; there are b, w."):
        small_run(fed_per(personal=["head."]), PEOPLE, three(0, 0, 0))
    with pytest.raises(InputError, match=r"strategy.personal names every weight; leave at least one to be shared."):
        small_run(fed_per(personal=["w", "b"]), PEOPLE, three(0, 0, 0))
    with pytest.raises(ValueError, match=r"personal is empty"):
        fed_per(personal=[])
