import numpy as np
import pytest

from fl_core.errors import InputError
from fl_core.partitions.by_column import by_column
from fl_core.types import CentralData, Examples

COLUMNS = {"writer": np.array([10, 9, 10, 2]), "hospital": np.array(["south", "north", "north", "south"]), "dose": np.array([0.5, 0.5, 1.5, 0.5])}
DATA = CentralData(Examples(np.zeros((4, 1)), np.zeros(4)), None, COLUMNS)


def deal(column: str, max_clients: int | None = None) -> dict[str, list[int]]:
    rows = by_column(DATA, np.random.default_rng(1), column=column, max_clients=max_clients)
    return {client: hand.tolist() for client, hand in rows.items()}


def test_a_word_names_its_client() -> None:
    assert deal("hospital") == {"north": [1, 2], "south": [0, 3]}


def test_whole_numbers_are_padded_so_that_names_sort_like_them() -> None:
    assert deal("writer") == {"writer-02": [3], "writer-09": [1], "writer-10": [0, 2]}


def test_other_numbers_are_written_out() -> None:
    assert deal("dose") == {"0.5": [0, 1, 3], "1.5": [2]}


def test_the_first_names_are_kept() -> None:
    assert list(deal("writer", max_clients=2)) == ["writer-02", "writer-09"]


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(InputError, match=r"partition.column is 'writters', which the data do not have; did you mean 'writer'\?"):
        deal("writters")
