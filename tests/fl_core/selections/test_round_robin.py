import pytest

from fl_core.errors import InputError
from fl_core.selections.round_robin import round_robin
from tests.fl_core.draws import a_draw

SIZES = dict.fromkeys("abcde", 1)
WORKERS = {"a": "north", "b": "north", "c": "north", "d": "south", "e": "south"}


def test_clients_take_turns() -> None:
    select = round_robin(clients_per_round=2)
    assert [list(select(a_draw(SIZES, round))) for round in (1, 2, 3, 4)] == [["a", "b"], ["c", "d"], ["e", "a"], ["b", "c"]]


def test_quotas_give_each_worker_turns_of_its_own() -> None:
    select = round_robin(quotas={"north": 2, "south": 1})
    assert [list(select(a_draw(SIZES, round, workers=WORKERS))) for round in (1, 2, 3)] == [["a", "b", "d"], ["c", "a", "e"], ["b", "c", "d"]]


def test_what_cannot_be_dealt_is_refused() -> None:
    with pytest.raises(InputError, match=r"exclude each other, and round_robin needs one of them."):
        round_robin()
    with pytest.raises(InputError, match=r"exclude each other"):
        round_robin(clients_per_round=1, quotas={"north": 1})
    with pytest.raises(InputError, match=r"selection.quotas.south is 3, but there are 2 clients to take turns; draw at most as many."):
        round_robin(quotas={"south": 3})(a_draw(SIZES, workers=WORKERS))
    with pytest.raises(InputError, match=r"selection.quotas names the worker 'suoth', who holds no client; did you mean 'south'\?"):
        round_robin(quotas={"suoth": 1})(a_draw(SIZES, workers=WORKERS))
