import tracemalloc
from typing import Any

import numpy as np
import pytest

from fl_core.data import fingerprint, open_data, split_held_out
from fl_core.errors import InputError
from fl_core.job import Job, parse_job
from fl_core.section import Data
from fl_core.types import Examples, FederatedData, Meaning

CODE = """
from dataclasses import replace
import numpy as np
from fl_core.names import NumberedNames
from fl_core.types import CentralData, Examples, FederatedData, Meaning

def ten(bad: str = ""):
    x, y = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10) % 2
    if bad == "nan":
        x[3, 1] = np.nan
    if bad == "infinite label":
        y = np.where(np.arange(10) == 4, np.inf, 1.0)
    if bad == "one class":
        y = np.full(10, 3)
    if bad == "lengths":
        y = y[:9]
    if bad == "empty":
        x, y = x[:0], y[:0]
    return CentralData(Examples(x, y), Examples(x[:2], y[:2]), {"hospital": y[:5] if bad == "column" else y})

def named():
    return replace(ten(), meaning=Meaning(["age", "pressure"]))

def lists():
    return [1, 2]

def hospitals(clients: list[str], sizes: list[int] = [1, 1]):
    return FederatedData(clients, sizes, lambda client: Examples(np.zeros((1, 2), np.float32), np.zeros(1, np.int64)))

def million():
    return FederatedData(NumberedNames(1_000_000), range(1, 1_000_001), lambda client: Examples(np.zeros((1, 1)), np.zeros(1)))

def halves(data, random):
    return {"south": np.arange(5, 10), "north": np.arange(5)}

def odd(data, random, rows: list[int]):
    return {"a": np.array(rows, np.int64)}

def nothing(data, random):
    return {}

def words(data, random):
    return {"a": [1, 2]}
"""


def job_of(data: dict[str, Any], seed: int = 1) -> Job:
    text = f"{{format: 1, name: test, program: digits, rounds: 1, seed: {seed}, data: {data!r}}}"
    return parse_job(text, code={"my_data.py": CODE})


def opened(name: str, **more: Any) -> FederatedData:
    job = job_of({"name": f"my_data.py:{name}", **more})
    return open_data(job, job.data)


def test_a_set_without_partition_is_one_client() -> None:
    data = opened("ten")
    assert list(data.clients) == ["client-0"]
    assert list(data.sizes) == [10]
    assert len(data.open("client-0")) == 10
    test = data.test()
    assert test is not None
    assert len(test) == 2


def test_a_partition_deals_rows_to_clients_in_sorted_order() -> None:
    data = opened("ten", partition={"name": "my_data.py:halves"})
    assert data.clients == ("north", "south")
    assert data.sizes == (5, 5)
    assert data.open("south").x[0].tolist() == [10, 11]


def test_what_the_numbers_mean_is_handed_on_dealt_or_not() -> None:
    assert opened("named").meaning == opened("named", partition={"name": "my_data.py:halves"}).meaning == Meaning(["age", "pressure"])


def test_the_seed_decides_the_deal() -> None:
    def deal(seed: int) -> str:
        job = job_of({"name": "my_data.py:ten", "partition": {"name": "iid", "clients": 2}}, seed)
        return fingerprint(open_data(job, job.data))

    assert deal(1) == deal(1)
    assert deal(1) != deal(2)


def test_a_million_clients_are_passed_through_without_being_named() -> None:
    tracemalloc.start()
    data = opened("million")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert data.clients[999_999] == "client-999999"
    assert len(fingerprint(data)) == 64


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("ten", {"bad": "nan"}, "The training set holds nan in row 3 of x; fill such values or leave their rows out."),
        ("ten", {"bad": "infinite label"}, "The training set holds inf in row 4 of y; fill such values or leave their rows out."),
        ("ten", {"bad": "one class"}, "The training set has one class: all 10 labels are 3; a model needs at least two classes."),
        ("ten", {"bad": "lengths"}, "The training set has 10 rows of x and 9 of y; row i of y is the label of row i of x."),
        ("ten", {"bad": "empty"}, "The training set is empty; give at least one example."),
        ("ten", {"bad": "column"}, "The column 'hospital' has 5 values for 10 training examples; give one value a row."),
        ("ten", {"bed": "nan"}, "data.bed is not an option of 'my_data.py:ten'; did you mean 'bad'?"),
        ("lists", {}, "The data 'my_data.py:lists' are a list; a loader gives an fl_core.types.CentralData or FederatedData."),
        ("hospitals", {"clients": ["b", "a"]}, "The client 'a' comes after 'b'; give the names in sorted order."),
        ("hospitals", {"clients": ["a", "a"]}, "The client 'a' is there twice; each client has a name of its own."),
        ("hospitals", {"clients": ["a"]}, "The data have 1 clients and 2 sizes; there is at least one client, and each has a size."),
        ("hospitals", {"clients": ["", "a"]}, "A client is called ''; a client's name is a word, such as 'client-0'."),
        ("hospitals", {"clients": ["a", "b"], "sizes": [1, 0]}, "The client 'b' has no examples; leave it out."),
        (
            "hospitals",
            {"clients": ["a", "b"], "partition": "iid"},
            "data.partition is 'iid', but 'my_data.py:hospitals' knows its clients already; leave the partition out.",
        ),
        ("ten", {"partition": {"name": "iid", "clients": 11}}, "partition.clients is 11, but there are 10 training examples; ask for at most 10 clients."),
        (
            "ten",
            {"partition": {"name": "my_data.py:odd", "rows": []}},
            "leaves client 'a' without examples; ask for fewer clients or a more even deal (a larger alpha).",
        ),
        ("ten", {"partition": {"name": "my_data.py:odd", "rows": [0, 10]}}, "deals row 10 to client 'a'; rows go from 0 to 9."),
        ("ten", {"partition": {"name": "my_data.py:odd", "rows": [0, -1]}}, "deals row -1 to client 'a'; rows go from 0 to 9."),
        ("ten", {"partition": "my_data.py:nothing"}, "gives dict; it gives arrays of training rows by client name, at least one."),
        ("ten", {"partition": "my_data.py:words"}, "gives client 'a' no array of whole numbers; each client gets a 1-d array of training rows."),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_in_one_sentence(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        opened(name, **options)
    assert sentence in str(caught.value)


def test_one_organisation_may_have_one_class_only() -> None:
    job = job_of({"name": "my_data.py:ten"})
    own = Data.model_validate({"name": "my_data.py:ten", "bad": "one class"})
    assert open_data(job, own).sizes == (10,)


def test_each_client_holds_out_the_same_examples_at_every_call() -> None:
    job = job_of({"name": "digits"})
    examples = Examples(np.arange(10), np.arange(10))
    train, held_out = split_held_out(job, "client-0", examples, 0.2)
    assert len(held_out) == 2
    assert sorted([*train.x, *held_out.x]) == list(range(10))
    assert split_held_out(job, "client-0", examples, 0.2)[1].x.tolist() == held_out.x.tolist()
    others = [split_held_out(job, f"client-{i}", examples, 0.2)[1].x.tolist() for i in range(1, 9)]
    assert any(other != held_out.x.tolist() for other in others)


@pytest.mark.parametrize(("share", "held"), [(0.01, 1), (0.99, 2)])
def test_both_parts_get_an_example(share: float, held: int) -> None:
    train, held_out = split_held_out(job_of({"name": "digits"}), "a", Examples(np.arange(3), np.arange(3)), share)
    assert (len(train), len(held_out)) == (3 - held, held)


def test_a_client_with_one_example_cannot_hold_out() -> None:
    with pytest.raises(InputError, match=r"data.held_out is 0.2, but client 'a' has 1 examples; holding out needs at least 2"):
        split_held_out(job_of({"name": "digits"}), "a", Examples(np.zeros(1), np.zeros(1)), 0.2)


def test_the_fingerprint_sees_names_values_and_the_test_set() -> None:
    def data(name: str = "a", value: float = 0, test: float | None = None) -> FederatedData:
        examples = Examples(np.array([value]), np.zeros(1))
        return FederatedData([name], [1], lambda client: examples, lambda: None if test is None else Examples(np.array([test]), np.zeros(1)))

    assert fingerprint(data()) == fingerprint(data())
    assert len({fingerprint(data()), fingerprint(data(name="b")), fingerprint(data(value=1)), fingerprint(data(test=0)), fingerprint(data(test=1))}) == 5
