import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fl_core.errors import InputError
from fl_core.federation import Population, make_card, open_household, read_population, worker_section
from fl_core.job import Job, parse_job
from fl_core.names import NumberedNames
from fl_core.types import Examples, FederatedData, Meaning

CODE = """
import numpy as np
from fl_core.types import Examples, FederatedData
def letters(names: list[str]):
    return FederatedData(names, [ord(name[-1]) for name in names], lambda name: Examples(np.full((1, 2), ord(name[-1])), np.zeros(1)))
"""


def job_of(workers: Any) -> Job:
    return parse_job(f"{{format: 1, name: a, program: digits, data: digits, rounds: 1, federation: {{workers: {workers!r}}}}}", code={"my.py": CODE})


def numbered(count: int, sizes: Any = None) -> FederatedData:
    """Clients by number; client i has i + 1 examples unless said otherwise, each of which is i."""
    names = NumberedNames(count)

    def one(name: str) -> Examples:
        return Examples(np.full((1, 2), names.index(name)), np.zeros(1))

    return FederatedData(names, range(1, count + 1) if sizes is None else sizes, one, lambda: Examples(np.zeros((3, 2)), np.zeros(3)))


def population_of(job: Job, data: FederatedData | None = None) -> Population:
    cards = {worker.name: make_card(job, worker.name, open_household(job, worker.name, data)) for worker in job.workers}
    return read_population(job, cards.__getitem__)


def told(people: Population) -> list[tuple[str, int]]:
    return [(client, people.size_of(client)) for client in people.clients]


@pytest.mark.parametrize("named", [True, False])
def test_the_population_is_the_same_however_many_workers_share_it(named: bool) -> None:
    data = numbered(11)
    if named:
        data = FederatedData([f"site-{letter}" for letter in "abcdefghijk"], data.sizes, lambda name: Examples(np.zeros((1, 2)), np.zeros(1)))
    people = [population_of(job_of(workers), data) for workers in (1, 2, 5, 20)]
    assert all(told(one) == told(people[0]) for one in people)
    assert told(people[0])[10][1] == 11


def test_a_worker_holds_an_unbroken_block_of_about_equal_length() -> None:
    job = job_of(5)
    blocks = [list(open_household(job, worker.name, numbered(11)).clients) for worker in job.workers]
    assert [len(block) for block in blocks] == [2, 2, 2, 2, 3]
    assert [client for block in blocks for client in block] == list(NumberedNames(11))
    people = population_of(job, numbered(11))
    assert [people.worker_of(client) for block in blocks for client in block] == [f"worker-{i}" for i, block in enumerate(blocks) for _ in block]


def test_a_worker_holds_the_clients_that_the_roster_lists() -> None:
    job = job_of([{"name": "north", "clients": ["client-2", "client-0"]}, {"name": "south", "clients": ["client-1"]}])
    people = population_of(job, numbered(3))
    assert told(people) == [("client-0", 1), ("client-1", 2), ("client-2", 3)]
    assert [people.worker_of(client) for client in people.clients] == ["north", "south", "north"]


def test_a_worker_with_data_of_its_own_names_its_clients_after_itself() -> None:
    own = [
        {"name": "north", "data": {"name": "my.py:letters", "names": ["a", "b"]}},
        {"name": "south", "data": {"name": "my.py:letters", "names": ["a"]}},
    ]
    people = population_of(job_of(own))
    assert told(people) == [("north.a", 97), ("north.b", 98), ("south", 97)]
    household = open_household(job_of(own), "north")
    assert household.open("north.b").x[0].tolist() == [98, 98]
    assert open_household(job_of(own), "south").open("south").x[0].tolist() == [97, 97]


def test_listed_shared_and_own_data_may_meet_in_one_federation() -> None:
    job = job_of([{"name": "a", "data": {"name": "my.py:letters", "names": ["x"]}}, {"name": "b", "clients": ["client-1"]}])
    assert told(population_of(job, numbered(2))) == [("a", 120), ("client-1", 2)]


@pytest.mark.parametrize(
    ("workers", "sentence"),
    [
        ([{"name": "a", "clients": ["client-7"]}], "Worker 'a' lists the client 'client-7', which the data do not have; did you mean 'client-2'?"),
        ([{"name": "a", "clients": ["client-1"]}, {"name": "b"}], "The client 'client-1' is held by two workers; a client belongs to one."),
        ([{"name": "a", "clients": ["client-1", "client-1"]}], "Worker 'a' lists the client 'client-1' twice; name each once."),
        ([{"name": "a", "clients": []}], "No worker of the federation holds a client; give at least one of them data."),
    ],
)
def test_a_roster_that_cannot_be_is_refused(workers: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        population_of(job_of(workers), numbered(3))
    assert str(caught.value) == sentence


def test_an_unknown_worker_is_refused_with_a_close_name() -> None:
    with pytest.raises(InputError, match=r"^The federation has no worker 'worker-7'; did you mean 'worker-1'\?$"):
        worker_section(job_of(2), "worker-7")


def test_a_card_tells_schema_and_counts_and_never_a_row() -> None:
    card = make_card(job_of(1), "worker-0", open_household(job_of(1), "worker-0", numbered(3)))
    assert card["clients"] == {"count": 3, "prefix": "client-", "start": 0, "stop": 3}
    assert card["sizes"] == [1, 2, 3]
    assert card["test"] == 3
    assert card["x"] == {"dtype": "int64", "shape": [2]}
    assert card["y"] == {"dtype": "float64", "shape": [], "range": [0.0, 0.0]}
    assert set(card) == {"worker", "clients", "sizes", "fingerprint", "test", "x", "y"}


def test_a_card_tells_what_the_numbers_mean_and_a_population_means_one_thing() -> None:
    own = [{"name": name, "data": {"name": "my.py:letters", "names": ["a"]}} for name in ("north", "south")]
    shared = job_of([{"name": "north", "clients": ["client-0"]}, {"name": "south"}])
    data = replace(numbered(2), meaning=Meaning(["age", "pressure"]))
    cards = {worker.name: make_card(shared, worker.name, open_household(shared, worker.name, data)) for worker in shared.workers}
    assert [card["features"] for card in cards.values()] == [["age", "pressure"]] * 2
    cards = {name: make_card(job_of(own), name, open_household(job_of(own), name)) for name in ("north", "south")}
    cards["north"] |= {"features": ["age", "pressure"]}
    assert len(read_population(job_of(own), cards.__getitem__).clients) == 2
    cards["south"] |= {"features": ["pressure", "age"]}
    with pytest.raises(InputError, match=r"^Feature 1 of the worker 'south' is 'pressure', but that of 'north' is 'age'"):
        read_population(job_of(own), cards.__getitem__)


def test_a_card_of_equal_sizes_says_the_size_once() -> None:
    assert make_card(job_of(1), "worker-0", open_household(job_of(1), "worker-0", numbered(3, sizes=[4, 4, 4])))["sizes"] == 4


def test_a_worker_without_clients_has_a_card_too() -> None:
    card = make_card(job_of(3), "worker-0", open_household(job_of(3), "worker-0", numbered(2)))
    assert (card["clients"]["stop"], "x" in card) == (0, False)


def test_a_million_numbered_clients_are_never_listed() -> None:
    job = job_of(3)
    data = numbered(1_000_000)
    card = make_card(job, "worker-0", open_household(job, "worker-0", numbered(1)))
    cut = [0, 333_333, 666_666, 1_000_000]
    cards = {
        f"worker-{i}": {**card, "clients": data.clients[cut[i] : cut[i + 1]].describe(), "sizes": 7, "test": 0}  # type: ignore[attr-defined]
        for i in range(3)
    }
    tracemalloc.start()
    people = read_population(job, cards.__getitem__)
    held = [people.worker_of(people.clients[i]) for i in (0, 333_332, 333_333, 999_999)]
    size = people.size_of("client-999999")
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held == ["worker-0", "worker-0", "worker-1", "worker-2"]
    assert (len(people.clients), size) == (1_000_000, 7)
    assert used < 100_000
